"""Strategies in Python: the guide's example, equality with SQL, isolation, parity and backtests."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

from guide import blocks, python_cross
from pair_market import NEXT_OPEN, OPEN, load_wave, open_replay, save_pair, write_batches
from tsdb_trader.api import backtest, strategies
from tsdb_trader.errors import InputError, TransitionError, UnknownObjectError
from tsdb_trader.strategies import Loaded, load

PARAMETERS = {"fast_s": 5.0, "slow_s": 30.0, "quantity": 100}
SECONDS = 90

BAD = """
from dataclasses import dataclass
from tsdb_trader.strategies import StepInput, Strategy

@dataclass(frozen=True)
class State:
    event: str | None = None
    quantities: tuple[int, ...] = ()
    n: int = 0
    x: float = 0.0

@dataclass(frozen=True)
class Parameters:
    mode: str
    at: int

class Bad(Strategy[State, Parameters]):
    name = "bad"
    description = "Fails on purpose"

    @staticmethod
    def step(s, i, p):
        n = s.n + 1
        if n < p.at:
            return State(n=n, x=n / 3)
        match p.mode:
            case "raise":
                raise ValueError(f"broken at step {n}")
            case "none":
                return None
            case "shape":
                return (None, [1], n)
            case "type":
                return State(n="many")
            case "nan":
                return State(n=n, x=float("nan"))
            case "infinity":
                return State(n=n, x=-float("inf"))
            case "legs":
                return State("enter", (1, 2), n)
            case "name":
                return State("rebalance", (1,), n)
            case "large":
                return State("enter", (2**63,), n)
        return State("enter" if n == p.at else None, (1,), n, n / 3)
"""

Write = Callable[[str], str]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Return a function that writes a module of its own and gives its name."""
    monkeypatch.syspath_prepend(tmp_path)

    def to_module(source: str) -> str:
        name = f"desk_{uuid.uuid4().hex}"
        (tmp_path / f"{name}.py").write_text(source)
        return name

    return to_module


def one(conn: psycopg.Connection, statement: str, *arguments: Any) -> Any:
    row = conn.execute(statement, arguments).fetchone()
    assert row is not None
    return row[0]


@contextmanager
def refused(message: str) -> Iterator[None]:
    with pytest.raises(psycopg.Error, match=message) as caught:
        yield
    assert caught.value.sqlstate == "TT004"


def consume(conn: psycopg.Connection, batches: list[int], *loaded: Loaded) -> None:
    classes = {each.name: each for each in loaded}
    for batch in batches:
        with conn.transaction():
            strategies.step_batch(conn, batch, classes)
            conn.execute("select signal.on_batch(%s)", (batch,))


def trade(conn: psycopg.Connection, *loaded: Loaded, seconds: int = SECONDS) -> uuid.UUID:
    """Replay the loaded wave with everything that is valid; the session."""
    session = open_replay(conn, NEXT_OPEN, seconds)
    conn.execute("select signal.bind_pairs(%s)", (session,))
    consume(conn, write_batches(conn, session, NEXT_OPEN, seconds), *loaded)
    return session


def parity(conn: psycopg.Connection, session: uuid.UUID, *loaded: Loaded) -> list[Any]:
    """Return what differs, by the database and by stepping the classes again."""
    again = strategies.differences(conn, session, {each.name: each for each in loaded})
    return backtest.parity(conn, session) + again


def add_cross(conn: psycopg.Connection, write: Write) -> tuple[Loaded, int]:
    """Register the guide's class with an instance on A."""
    loaded = load(f"{write(python_cross())}:PythonCross")
    strategies.register(conn, loaded)
    return loaded, strategies.save_instance(conn, loaded, ["A"], "test", PARAMETERS, OPEN)


def add_bad(conn: psycopg.Connection, write: Write, mode: str, at: int = 5) -> tuple[Loaded, int]:
    """Register the class that fails, with an instance that does on A and one that does not on B."""
    loaded = load(f"{write(BAD)}:Bad")
    strategies.register(conn, loaded)
    wanted = {"mode": "", "at": at}
    strategies.save_instance(conn, loaded, ["B"], "test", wanted, OPEN)
    failing = strategies.save_instance(conn, loaded, ["A"], "test", wanted | {"mode": mode}, OPEN)
    return loaded, failing


def decided(
    conn: psycopg.Connection, table: str, strategy: str, **where: object
) -> list[tuple[Any, ...]]:
    """Return time, event and target of each signal of a strategy."""
    ((column, value),) = where.items()
    return conn.execute(
        f"""select g.as_of, g.event, g.target, g.z_score from {table} g
            join signal.instances n on n.instance_id = g.pair_id
            join signal.strategies s on s.strategy_id = n.strategy_id
            where s.strategy = %s and g.{column} = %s order by 1""",
        (strategy, value),
    ).fetchall()


def test_guide_class_is_short_and_signals_as_the_sql_one_live_and_in_a_backtest(
    conn: psycopg.Connection, write: Write
) -> None:
    assert len([line for line in python_cross().splitlines() if line.strip()]) < 40
    load_wave(conn, NEXT_OPEN, SECONDS)
    save_pair(conn)
    conn.execute(blocks("sql")[0])
    loaded, instance = add_cross(conn, write)
    session = trade(conn, loaded)
    live = decided(conn, "signal.signals", "python_cross", session_id=session)
    assert len(live) > 2
    assert live == decided(conn, "signal.signals", "cross", session_id=session)
    # The running means are the same to the last bit.
    steps = conn.execute(
        "select state->'body'->>'fast', state->'body'->>'slow' from signal.instance_states "
        "where instance_id = %s", (instance,)).fetchone()  # fmt: skip
    assert steps == conn.execute(
        "select state->>'fast', state->>'slow' from signal.instance_states "
        "where instance_id <> %s", (instance,)).fetchone()  # fmt: skip
    assert parity(conn, session, loaded) == []

    classes = {loaded.name: loaded}
    for source in ({"session_id": str(session)}, {"source": "quotes", "feed": "test"}):
        window = (
            () if "session_id" in source else (NEXT_OPEN, NEXT_OPEN + timedelta(seconds=SECONDS))
        )
        ours = strategies.run(conn, classes, "python_cross", source, *window)
        theirs = strategies.run(conn, classes, "cross", source, *window)
        assert ours.trades == theirs.trades > 2
        assert (ours.total_return, ours.costs, ours.sharpe) == (
            theirs.total_return, theirs.costs, theirs.sharpe)  # fmt: skip
        run = decided(conn, "backtest.signals", "python_cross", run_id=ours.run_id)
        assert run == decided(conn, "backtest.signals", "cross", run_id=theirs.run_id)
        if "session_id" in source:
            assert run == live
        for table in ("orders", "executions", "equity"):
            assert one(
                conn,
                f"select count(*) from backtest.{table} where run_id = %s",
                ours.run_id,
            ) == one(
                conn,
                f"select count(*) from backtest.{table} where run_id = %s",
                theirs.run_id,
            )


@pytest.mark.parametrize(
    ("mode", "state", "message"),
    [
        ("raise", "P0001", "ValueError: broken at step 5"),
        ("none", "TT001", "returned NoneType, not State"),
        ("shape", "TT001", "returned tuple, not State"),
        ("type", "TT001", "n must be int, not 'many'"),
        ("nan", "TT001", "x is not finite"),
        ("infinity", "TT001", "x is not finite"),
        ("legs", "TT001", "a quantity for each of 1 legs"),
        ("name", "TT001", "no name"),
        ("large", "TT001", "out of range"),
    ],
)
def test_python_step_that_fails_is_stopped_and_alerted_and_the_others_go_on(
    conn: psycopg.Connection, write: Write, mode: str, state: str, message: str
) -> None:
    load_wave(conn, NEXT_OPEN, 20)
    save_pair(conn)
    loaded, failing = add_bad(conn, write, mode)
    session = trade(conn, loaded, seconds=20)
    ((instance, sql_state, text),) = conn.execute(
        "select instance_id, sql_state, message from signal.strategy_errors"
    ).fetchall()
    assert (instance, sql_state) == (failing, state)
    assert message in text
    assert one(conn, "select count(*) from ops.alerts where kind = 'strategy_error' "
                     "and severity = 'critical'") == 1  # fmt: skip
    steps = dict(
        conn.execute(
            "select instance_id, (state->'body'->>'n')::int from signal.instance_states"
        ).fetchall()
    )
    # It keeps the state it had; the other one and the pair went on.
    assert steps.pop(failing) == 4
    assert steps.popitem()[1] > 5
    assert one(conn, "select count(*) > 0 from signal.pair_states")
    assert one(conn, "select count(*) from signal.signals g join signal.strategies s "
                     "using (strategy_id) where s.strategy = 'bad'") == 1  # fmt: skip
    assert parity(conn, session, loaded) == []


def test_python_strategy_not_stepped_before_the_batch_is_refused(
    conn: psycopg.Connection, write: Write
) -> None:
    load_wave(conn, NEXT_OPEN, 10)
    _, instance = add_cross(conn, write)
    session = open_replay(conn, NEXT_OPEN, 10)
    conn.execute("select signal.bind_pairs(%s)", (session,))
    first, second, *_ = write_batches(conn, session, NEXT_OPEN, 10)
    read = "select * from signal.python_inputs(%s)"
    with refused("was not stepped on batch 1"), conn.transaction():
        conn.execute("select signal.on_batch(%s)", (first,))
    # Inputs that were read, and no state handed over.
    with refused(f"instance {instance} .* was not stepped"), conn.transaction():
        due = first
        while not conn.execute(read, (due,)).fetchall():
            conn.execute("select signal.on_batch(%s)", (due,))
            due = one(conn, "select signal.next_batch(%s)", session)
        conn.execute("select signal.on_batch(%s)", (due,))
    with refused("not the next one"), conn.transaction():
        conn.execute(read, (second,))
    with refused("were not read"), conn.transaction():
        conn.execute("select signal.hand_over_steps(%s, '[]')", (first,))
    with refused("no instance of a Python strategy"), conn.transaction():
        conn.execute(read, (first,))
        conn.execute("select signal.hand_over_steps(%s, '[{\"instance_id\": 99}]')", (first,))
    # An isolated one is not asked for.
    with conn.transaction():
        consume(conn, [first])
    assert "is not loaded" in one(conn, "select message from signal.strategy_errors")
    consume(conn, [second])


@pytest.mark.parametrize("change", ["missing", "edited"])
def test_python_class_that_is_not_the_registered_one_is_stopped(
    conn: psycopg.Connection, write: Write, change: str
) -> None:
    load_wave(conn, NEXT_OPEN, 10)
    save_pair(conn)
    add_cross(conn, write)
    edited = load(f"{write(python_cross() + '# Changed since.')}:PythonCross")
    classes = [edited] if change == "edited" else []
    session = trade(conn, *classes, seconds=10)
    ((instance, sql_state, message),) = conn.execute(
        "select instance_id, sql_state, message from signal.strategy_errors"
    ).fetchall()
    assert instance is None
    assert (sql_state, "is not what" in message) == (
        ("TT004", True) if change == "edited" else ("TT002", False)
    )
    assert one(conn, "select count(*) > 0 from signal.pair_states")
    assert backtest.parity(conn, session) == []
    with pytest.raises((TransitionError, UnknownObjectError)):
        strategies.run(
            conn, {c.name: c for c in classes}, "python_cross", {"session_id": str(session)}
        )


MIDDLE = "batch_no = (select min(batch_no) from signal.python_steps where batch_no > 8)"
CHANGES = [
    ("update signal.python_steps set state = jsonb_set(state, '{body,fast}', '1.5') "
     f"where {MIDDLE}", {"python_state"}),
    ("update signal.python_steps set state = jsonb_set(state, '{event}', case "
     "when state->>'event' is null then '\"cross\"'::jsonb else 'null' end) "
     f"where {MIDDLE}", {"python_state", "consumption"}),
    ("delete from signal.python_steps where batch_no > 15",
     {"python_state", "strategy_error", "state"}),
    ("update signal.instances set parameters = parameters || '{\"fast_s\": 9}'",
     {"python_state", "parameters"}),
    ("insert into signal.python_steps select session_id, instance_id, 99, as_of, state "
     f"from signal.python_steps where {MIDDLE}", {"python_state"}),
]  # fmt: skip


def test_parity_of_a_python_strategy_after_any_change_says_what_differs(
    conn: psycopg.Connection, write: Write
) -> None:
    load_wave(conn, NEXT_OPEN, 30)
    loaded, _ = add_cross(conn, write)
    session = trade(conn, loaded, seconds=30)
    assert parity(conn, session, loaded) == []
    with pytest.raises(psycopg.Error, match="append-only"), conn.transaction():
        conn.execute("delete from signal.python_steps")
    conn.execute("drop trigger refuse_change on signal.python_steps")
    for change, expected in CHANGES:
        with conn.transaction(force_rollback=True):
            assert conn.execute(change).rowcount > 0
            assert {d.kind for d in parity(conn, session, loaded)} >= expected, change
    assert {d.kind for d in strategies.differences(conn, session, {})} == {"python_class"}
    assert parity(conn, session, loaded) == []


def test_python_strategy_with_features_sees_them_live_and_in_a_backtest(
    conn: psycopg.Connection, write: Write
) -> None:
    load_wave(conn, NEXT_OPEN, 30)
    conn.execute("""
        create schema desk;
        create function desk.seconds(p_instruments integer[], p_from timestamptz, p_to timestamptz)
        returns table (as_of timestamptz, instrument_id integer, features double precision[])
        language sql stable as $$
            select t, u.i, array[date_part('epoch', t), u.i]
            from unnest(p_instruments) u (i),
                generate_series(timestamptz '2013-10-08 13:29+00', '2013-10-08 13:32+00', '10 s') t
            where t > p_from and t <= p_to
        $$;
    """)
    source = """
from dataclasses import dataclass
from datetime import datetime, timedelta
from tsdb_trader.strategies import Strategy

@dataclass
class State:
    event: str | None = None
    quantities: list[int] = None
    score: float | None = None
    at: datetime | None = None
    mids: list[float | None] = None

@dataclass
class Parameters:
    lots: dict[str, int]

class Timed(Strategy[State, Parameters]):
    name = "timed"
    description = "Buys in every second ten seconds"
    inputs = "desk.seconds"
    lookback = timedelta(minutes=5)

    @staticmethod
    def step(s, i, p):
        wanted = int(i.features[0] // 10 % 2) * p.lots["a"]
        new = [wanted, -wanted]
        event = "turn" if new != (s.quantities or [0, 0]) and s.mids else None
        mids = [m or o for m, o in zip(i.mids, s.mids or [None, None])]
        return State(event, new if event else s.quantities or [0, 0], i.features[1] / 3, i.as_of,
                     mids if None not in mids else [])
"""
    loaded = load(f"{write(source)}:Timed")
    strategies.register(conn, loaded)
    strategies.save_instance(conn, loaded, ["B", "A"], "test", {"lots": {"a": 7}}, OPEN)
    session = trade(conn, loaded, seconds=30)
    live = decided(conn, "signal.signals", "timed", session_id=session)
    assert len(live) == 3
    assert {row[3] for row in live} == {one(conn, "select ref.instrument_id('B')") / 3}
    assert parity(conn, session, loaded) == []
    classes = {loaded.name: loaded}
    run = strategies.run(conn, classes, "timed", {"session_id": str(session)})
    assert decided(conn, "backtest.signals", "timed", run_id=run.run_id) == live
    window = (NEXT_OPEN, NEXT_OPEN + timedelta(seconds=30))
    assert backtest.check_lookahead(conn, "timed", *window, {"source": "quotes"}) == []
    # A feature that is said to be known before it is.
    conn.execute("""
        create or replace function desk.seconds(p_instruments integer[], p_from timestamptz, p_to timestamptz)
        returns table (as_of timestamptz, instrument_id integer, features double precision[])
        language sql stable as $$
            select t, u.i, array[(
                select avg(q.bid_price)::float8 from market.quotes q
                where q.instrument_id = u.i and q.ts > t and q.ts <= t + interval '5 s'), u.i]
            from unnest(p_instruments) u (i),
                generate_series(timestamptz '2013-10-08 13:29+00', '2013-10-08 13:32+00', '10 s') t
            where t > p_from and t <= p_to
        $$""")
    kinds = {
        leak.kind for leak in backtest.check_lookahead(conn, "timed", *window, {"source": "quotes"})
    }
    assert kinds == {"state", "feature"}


@pytest.mark.parametrize("mode", ["nan", "legs"])
def test_backtest_of_a_python_strategy_goes_on_without_the_instance_that_fails(
    conn: psycopg.Connection, write: Write, mode: str
) -> None:
    load_wave(conn, NEXT_OPEN, 40)
    loaded, failing = add_bad(conn, write, mode, at=10)
    healthy = one(conn, "select min(instance_id) from signal.instances")
    classes = {loaded.name: loaded}
    window = (NEXT_OPEN, NEXT_OPEN + timedelta(seconds=40))
    both = strategies.run(conn, classes, "bad", {"source": "quotes"}, *window)
    only = {"source": "quotes", "instances": [healthy]}
    alone = strategies.run(conn, classes, "bad", only, *window)
    assert both.trades == alone.trades == 1
    assert both.total_return == alone.total_return
    (failed,) = conn.execute(
        "select instance_id, as_of, sql_state from backtest.run_errors where run_id = %s",
        (both.run_id,),
    ).fetchall()
    # Quotes come every second at most, so that the tenth step is not before the tenth.
    assert (failed[0], failed[2]) == (failing, "TT001")
    assert failed[1] >= NEXT_OPEN + timedelta(seconds=9)
    for wrong in ([failing, 3, None, "TT1", "x"], [failing, 3, None, "TT001", None]):
        with pytest.raises(psycopg.Error, match="can decide") as caught:
            conn.execute(
                "select backtest.run('bad', %s, %s, %s, 'none', %s)",
                (Jsonb(only | {"instances": [failing]}), *window, Jsonb([wrong])),
            )
        assert caught.value.sqlstate == "TT001"


def test_backtest_of_a_python_strategy_wrong_use_is_refused(
    conn: psycopg.Connection, write: Write
) -> None:
    load_wave(conn, NEXT_OPEN, 20)
    loaded, failing = add_bad(conn, write, "nan")
    classes = {loaded.name: loaded}
    window = (NEXT_OPEN, NEXT_OPEN + timedelta(seconds=20))
    alone = {"source": "quotes", "instances": [failing]}
    with pytest.raises(InputError, match=f"instance {failing} of bad failed .* x is not finite"):
        strategies.run(conn, classes, "bad", alone, *window)
    with pytest.raises(InputError, match='unknown parameter "att"'):
        strategies.run(conn, classes, "bad", {"source": "quotes", "att": 3}, *window)
    with pytest.raises(InputError, match='parameter "at" must be an integer'):
        strategies.run(conn, classes, "bad", {"source": "quotes", "at": 1.5}, *window)
    with refused("is in Python"):
        conn.execute("select * from backtest.run('bad', '{}', %s, %s)", window)
    with pytest.raises(psycopg.Error) as context:
        conn.execute("select * from backtest.run('bad', '{}', %s, %s)", window)
    assert len((context.value.diag.context or "").splitlines()) < 5
    with pytest.raises(psycopg.Error, match="for a strategy in Python alone") as caught:
        conn.execute("select * from backtest.run('pairs', '{}', %s, %s, 'none', '[]')", window)
    assert caught.value.sqlstate == "TT001"


REFUSED = [
    ("name", "1x", "a name is"),
    ("description", "", "needs a description"),
    ("class", "x", "module:Class"),
    ("hash", "x", "SHA-256"),
    ("state", "{}", "list of fields"),
    ("parameters", "[]", "needs a parameter"),
    ("parameters", '[{"name": "a", "kind": "date", "nullable": false}]', "is not one"),
    ("inputs", "no.inputs", "no inputs function"),
    ("lookback", "-1 s", "negative"),
    ("name", "pairs", "not one in Python"),
]


@pytest.mark.parametrize(("key", "value", "message"), REFUSED)
def test_registration_of_a_class_that_will_not_do_is_refused(
    conn: psycopg.Connection, key: str, value: str, message: str
) -> None:
    given = {
        "name": "x", "description": "x", "class": "x:X", "hash": "0" * 64, "state": "[]",
        "parameters": '[{"name": "a", "kind": "number", "nullable": false}]', "inputs": None,
        "lookback": "1 day",
    } | {key: value}  # fmt: skip
    with pytest.raises(psycopg.Error, match=message) as caught:
        conn.execute(
            "select signal.register_python_strategy(%(name)s, %(description)s, %(class)s, %(hash)s,"
            " %(state)s, %(parameters)s, %(inputs)s, %(lookback)s)",
            given,
        )
    assert (caught.value.sqlstate or "").startswith("TT00")


def test_registration_again_keeps_the_fields_and_takes_new_code(
    conn: psycopg.Connection, write: Write
) -> None:
    load_wave(conn, NEXT_OPEN, 5)
    add_cross(conn, write)
    code = one(conn, "select signal.code_hash('python_cross')")
    other = load(f"{write(python_cross() + '# Changed.')}:PythonCross")
    strategies.register(conn, other)
    assert one(conn, "select signal.code_hash('python_cross')") != code
    wider = load(
        f"{write(python_cross().replace('fast: float', 'more: float = 0.0; fast: float'))}:PythonCross"
    )
    with pytest.raises(TransitionError, match="other fields"):
        strategies.register(conn, wider)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"quantity": 1.5}, "quantity must be int"),
        ({"quantity": None}, "quantity must be int"),
        ({"quantity": True}, "quantity must be int"),
        ({"fast_s": "5"}, "fast_s must be float"),
        ({"fast_s": 40.0}, "fast_s must be above zero and below slow_s"),
        ({"pace": 1}, "pace is unknown"),
    ],
)
def test_instance_with_wrong_parameters_is_refused(
    conn: psycopg.Connection, write: Write, change: dict[str, Any], message: str
) -> None:
    load_wave(conn, NEXT_OPEN, 5)
    loaded, _ = add_cross(conn, write)
    with pytest.raises(InputError, match=message):
        strategies.save_instance(conn, loaded, ["B"], "test", PARAMETERS | change, OPEN)
    if "above zero" not in message:
        # The database knows the kinds, and the ranges of the class it does not.
        with pytest.raises(psycopg.Error) as caught:
            conn.execute(
                "select signal.save_instance('python_cross', '{B}', 'test', %s, '{}', %s)",
                (Jsonb(PARAMETERS | change), OPEN),
            )
        assert caught.value.sqlstate == "TT001"
