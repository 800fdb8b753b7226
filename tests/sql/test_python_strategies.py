"""Strategies in Python: the guide's example, equality with SQL, isolation, parity and backtests."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from pair_market import NEXT_OPEN, OPEN, load_wave, open_replay, save_pair, write_batches
from tsdb_trader.api import backtest, strategies
from tsdb_trader.strategies import Loaded, load

GUIDE = Path(__file__).parents[2] / "docs" / "strategies.md"
PARAMETERS = {"fast_s": 5.0, "slow_s": 30.0, "quantity": 100}
SECONDS = 150

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


def example() -> str:
    """Return the guide's strategy in Python."""
    (source,) = re.findall(r"```python\n(.*?)```", GUIDE.read_text(), re.S)
    return str(source)


def sql_example() -> str:
    """Return the guide's strategy in SQL: the same rule."""
    return re.findall(r"```sql\n(.*?)```", GUIDE.read_text(), re.S)[0]


def one(conn: psycopg.Connection, statement: str, *arguments: Any) -> Any:
    row = conn.execute(statement, arguments).fetchone()
    assert row is not None
    return row[0]


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
    loaded = load(f"{write(example())}:PythonCross")
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
    assert len([line for line in example().splitlines() if line.strip()]) < 40
    load_wave(conn, NEXT_OPEN, SECONDS)
    save_pair(conn)
    conn.execute(sql_example())
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
