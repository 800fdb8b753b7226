"""Strategies of one's own: registration, instances, stepping, isolation and parity."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from daily_bars import add_bars
from guide import blocks
from pair_market import NEXT_OPEN, OPEN, load_wave, open_replay, save_pair, write_batches

SECONDS = 150
BAD = """
create schema bad;
create type bad.parameters as (mode text, at integer);
create type bad.state as (n integer, event text, quantities bigint[]);
create function bad.step(s bad.state, i signal.step_input, p bad.parameters)
returns bad.state language plpgsql immutable as $$
begin
    s.n := coalesce(s.n, 0) + 1;
    s.event := null;
    if s.n >= p.at then
        case p.mode
            when 'raise' then raise exception 'broken at step %', s.n;
            when 'assert' then assert false, 'never true';
            when 'null' then return null;
            when 'legs' then s.event := 'enter'; s.quantities := '{1,2,3}';
            when 'hole' then s.event := 'enter'; s.quantities := '{null}';
            when 'name' then s.event := 'rebalance'; s.quantities := '{1}';
            else s.event := case when s.n = p.at then 'enter' end; s.quantities := '{1}';
        end case;
    end if;
    return s;
end
$$;
select signal.register_strategy('bad', 'Fails on purpose', 'bad.step(bad.state, signal.step_input, bad.parameters)');
"""


def one(conn: psycopg.Connection, statement: str, *arguments: Any) -> Any:
    row = conn.execute(statement, arguments).fetchone()
    assert row is not None
    return row[0]


def examples() -> list[str]:
    """Return the SQL blocks of the guide that make and fold two strategies, in order."""
    return blocks("sql")[:3]


def trade(conn: psycopg.Connection, seconds: int = SECONDS) -> uuid.UUID:
    """Replay the loaded wave with everything that is valid; the session."""
    session = open_replay(conn, NEXT_OPEN, seconds)
    conn.execute("select signal.bind_pairs(%s)", (session,))
    for batch in write_batches(conn, session, NEXT_OPEN, seconds):
        conn.execute("select signal.on_batch(%s)", (batch,))
    return session


def parity(conn: psycopg.Connection, session: uuid.UUID) -> list[Any]:
    return conn.execute("select * from backtest.parity(%s)", (session,)).fetchall()


def add_bad(conn: psycopg.Connection, mode: str, symbol: str = "A", at: int = 5) -> int:
    """Save an instance of the strategy that fails in a given way at a given step."""
    return int(
        one(
            conn,
            "select signal.save_instance('bad', array[%s], 'test', jsonb_build_object("
            "'mode', %s::text, 'at', %s::int), '{}', %s)",
            symbol, mode, at, OPEN,
        )
    )  # fmt: skip


def test_guide_examples_are_short_and_trade_with_parity_as_written(
    conn: psycopg.Connection, connect_as: Callable[..., psycopg.Connection]
) -> None:
    load_wave(conn, NEXT_OPEN, SECONDS)
    save_pair(conn)
    cross, fold, fade = examples()
    assert len([line for line in cross.splitlines() if line.strip()]) < 40
    conn.execute(cross)
    conn.execute(fade)
    session = trade(conn)
    counts = dict(
        conn.execute(
            """select s.strategy, count(*) from signal.signals g join signal.strategies s
               using (strategy_id) where g.session_id = %s group by 1""",
            (session,),
        ).fetchall()
    )
    assert counts["cross"] > 2
    assert counts["fade"] > 0
    assert counts["pairs"] > 0
    assert one(conn, "select count(*) from signal.batch_features") >= 2
    assert parity(connect_as("tsdb_quant"), session) == []
    folded, backtested, _ = fold.split(";")
    quant = connect_as("tsdb_quant")
    events = [row[0] for row in quant.execute(f"select (state).event from ({folded}) s").fetchall()]
    assert len([e for e in events if e]) == counts["cross"]
    assert one(quant, backtested) is not None
    assert one(quant, "select count(*) from backtest.signals") == counts["cross"]


def test_guide_other_statements_run_as_written(conn: psycopg.Connection) -> None:
    load_wave(conn, NEXT_OPEN, 5)
    for symbol, factor in (("A", 7), ("B", 5)):
        add_bars(
            conn,
            one(conn, "select ref.instrument_id(%s)", symbol),
            {OPEN.date() + timedelta(days=n): 50 + factor * n % 11 for n in range(80)},
        )
    *others, portfolio = blocks("sql")[3:]
    assert len(others) == 3
    for statements in others:
        conn.execute(statements)
    save_pair(conn)
    # As psql reads it: a row's columns become variables.
    opened, bound = portfolio.removeprefix("begin;").split("\\gset")
    session = one(conn, opened)
    conn.execute(bound.replace(":'session_id'", f"'{session}'").replace("commit;", ""))
    found = one(
        conn, "select to_jsonb(parameters) from signal.portfolios where session_id = %s", session
    )
    assert found == {
        "max_gross": 60000,
        "max_sector_net": None,
        "max_market_net": None,
        "max_positions": 4,
    }


def test_instances_of_two_legs_get_mids_in_the_order_of_their_symbols(
    conn: psycopg.Connection,
) -> None:
    load_wave(conn, NEXT_OPEN, 30)
    conn.execute("""
        create schema two;
        create type two.parameters as (dummy integer);
        create type two.state as (a double precision, b double precision, f double precision[],
            event text, quantities bigint[], score double precision);
        create function two.inputs(p_instruments integer[], p_from timestamptz, p_to timestamptz)
        returns table (as_of timestamptz, instrument_id integer, features double precision[])
        language sql stable as $$
            select t, u.i, array[u.i, -u.i]::float8[]
            from unnest(p_instruments) u (i),
                generate_series(timestamptz '2013-10-08 13:29+00', '2013-10-08 13:32+00', '10 s') t
            where t > p_from and t <= p_to
        $$;
        create function two.step(s two.state, i signal.step_input, p two.parameters)
        returns two.state language plpgsql immutable as $$
        begin
            s.a := coalesce(i.mids[1], s.a); s.b := coalesce(i.mids[2], s.b); s.f := i.features;
            s.event := case when s.a is not null and s.b is not null then 'enter' end;
            s.quantities := array[-1, 2]; s.score := s.a / 3;
            return s;
        end $$;
        select signal.register_strategy('two', 'Two legs',
            'two.step(two.state, signal.step_input, two.parameters)',
            'two.inputs(integer[], timestamptz, timestamptz)');
    """)
    conn.execute(
        "select signal.save_instance('two', array['B', 'A'], 'test', '{\"dummy\": 1}', '{}', %s)",
        (OPEN,),
    )
    session = trade(conn, 30)
    wrong = one(
        conn,
        """select count(*) filter (where g.target <> -1 or g.z_score <> t.mid / 3
               or t.target_quantity <> case t.leg when 1 then -1 else 2 end
               or i.symbol <> case t.leg when 1 then 'B' else 'A' end)
           from signal.signals g join signal.targets t using (signal_id)
           join ref.instruments i using (instrument_id) where t.leg = 1 or t.leg = 2 and g.z_score > 0
               and t.target_quantity <> 2""",
    )
    assert wrong == 0
    a, b = one(conn, "select ref.instrument_id('A')"), one(conn, "select ref.instrument_id('B')")
    assert one(conn, "select state->'f' from signal.instance_states") == [b, -b, a, -a]
    assert parity(conn, session) == []


def test_parity_inputs_that_depend_on_the_window_asked_for_are_found(
    conn: psycopg.Connection,
) -> None:
    load_wave(conn, NEXT_OPEN, 20)
    conn.execute(BAD)
    conn.execute(
        "create function bad.inputs(p_instruments integer[], p_from timestamptz, p_to timestamptz)"
        " returns table (as_of timestamptz, instrument_id integer, features double precision[])"
        " language sql stable as $$ select p_to, 1, array[extract(epoch from p_to - p_from)::float8]"
        " $$; select signal.register_strategy('bad', 'x', 'bad.step(bad.state, signal.step_input,"
        " bad.parameters)', 'bad.inputs(integer[], timestamptz, timestamptz)')"
    )
    add_bad(conn, "none")
    session = trade(conn, 20)
    assert {row[0] for row in parity(conn, session)} == {"features"}


CHANGES: list[tuple[str, set[str]]] = [
    ("delete from signal.signals where batch_no > 20", {"missing_signal", "target"}),
    ("update signal.signals set z_score = 1 where strategy_id > 3", {"differing_signal"}),
    ("update signal.signals set traded = false", {"differing_signal"}),
    ("update signal.signals set refusal = 'gross'", {"differing_signal"}),
    (
        "update signal.instance_states set state = jsonb_set(state, '{fast}', '1.5')",
        {"state"},
    ),
    ("delete from signal.instance_states", {"state"}),
    ("update signal.instances set parameters = parameters || '{\"quantity\": 99}'",
     {"parameters", "target", "state"}),
    ("update signal.session_instances set digest = 'x'", {"parameters"}),
    ("update signal.batch_features set features = '{1,1}'", {"features"}),
    ("delete from signal.batch_features", {"features"}),
    ("update signal.consumed_batches set pairs_stepped = 0", {"consumption"}),
    (
        "create or replace function desk.step_cross(s desk.cross_state, i signal.step_input,"
        " p desk.cross_parameters) returns desk.cross_state language sql immutable as"
        " $$ select s $$",
        {"strategy_error", "extra_signal"},
    ),
]  # fmt: skip


def test_parity_of_instances_after_any_change_says_what_differs(conn: psycopg.Connection) -> None:
    load_wave(conn, NEXT_OPEN, SECONDS)
    cross, _, fade = examples()
    conn.execute(cross)
    conn.execute(fade)
    session = trade(conn)
    for change, expected in CHANGES:
        with conn.transaction(force_rollback=True):
            conn.execute(change)
            assert {row[0] for row in parity(conn, session)} >= expected, change
    assert parity(conn, session) == []


def test_parity_of_instances_display_settings_change_nothing(conn: psycopg.Connection) -> None:
    load_wave(conn, NEXT_OPEN, 60)
    conn.execute(examples()[0])
    conn.execute("set extra_float_digits = -5")
    conn.execute("set timezone = 'America/New_York'")
    session = trade(conn, 60)
    assert parity(conn, session) == []
    conn.execute("set timezone = 'UTC'")
    assert parity(conn, session) == []


@pytest.mark.parametrize(
    ("mode", "state", "message"),
    [
        ("raise", "P0001", "broken at step 5"),
        ("assert", "P0004", "never true"),
        ("null", "TT001", "returned null"),
        ("legs", "TT001", "a quantity for each of 1 legs"),
        ("hole", "TT001", "a quantity for each of 1 legs"),
        ("name", "TT001", "no name"),
    ],
)
def test_step_that_fails_is_stopped_recorded_and_alerted_and_the_others_go_on(
    conn: psycopg.Connection, mode: str, state: str, message: str
) -> None:
    load_wave(conn, NEXT_OPEN, 60)
    conn.execute(BAD)
    conn.execute(examples()[0])
    save_pair(conn)
    failing, healthy = add_bad(conn, mode), add_bad(conn, "none", "B")
    session = trade(conn, 60)
    ((instance, sql_state, text),) = conn.execute(
        "select instance_id, sql_state, message from signal.strategy_errors"
    ).fetchall()
    assert (instance, sql_state) == (failing, state)
    assert message in text
    assert one(conn, "select count(*) from ops.alerts where kind = 'strategy_error' "
                     "and severity = 'critical'") == 1  # fmt: skip
    # It keeps the state it had; the others were stepped on every batch of theirs.
    states = dict(
        conn.execute(
            "select instance_id, (state->>'n')::int from signal.instance_states"
        ).fetchall()
    )
    assert states[failing] == 4
    assert states[healthy] > 20
    assert one(conn, "select count(*) from signal.signals where pair_id = %s", healthy) == 1
    assert one(conn, "select count(*) > 1 from signal.signals g join signal.strategies s "
                     "using (strategy_id) where s.strategy = 'cross'")  # fmt: skip
    assert one(conn, "select count(*) > 0 from signal.pair_states")
    assert parity(conn, session) == []
    # Without the record the recomputation fails where the step did, and says so.
    conn.execute("delete from signal.strategy_errors")
    assert "strategy_error" in {row[0] for row in parity(conn, session)}


def test_pair_whose_step_fails_is_stopped_and_the_others_go_on(conn: psycopg.Connection) -> None:
    load_wave(conn, NEXT_OPEN, 60)
    healthy = save_pair(conn)
    conn.execute("insert into ref.instruments (symbol) values ('C')")
    broken = save_pair(conn, symbols=("A", "C"))
    # A value that signal.read_parameters refuses: the logarithm of a negative mid cannot be.
    conn.execute(
        "update signal.pairs set instrument_b = ref.instrument_id('B'), instrument_a = "
        "ref.instrument_id('C'), parameters.hedge_ratio = 1e300, parameters.notional = 1e300 "
        "where pair_id = %s",
        (broken,),
    )
    conn.execute(
        "update signal.pairs set instrument_a = ref.instrument_id('A'), instrument_b = "
        "ref.instrument_id('B'), parameters.mean = 0, parameters.deviation = 1e299, "
        "parameters.entry = 1e-9, parameters.exit = 0, parameters.stop = 1e9, "
        "valid_from = valid_from where pair_id = %s",
        (broken,),
    )
    session = open_replay(conn, NEXT_OPEN, 60)
    for pair, account in ((healthy, "main"), (broken, "suspense")):
        conn.execute("select signal.bind_pairs(%s, %s, %s)", (session, account, [pair]))
    for batch in write_batches(conn, session, NEXT_OPEN, 60):
        conn.execute("select signal.on_batch(%s)", (batch,))
    rows = conn.execute("select instance_id, sql_state from signal.strategy_errors").fetchall()
    assert rows == [(broken, "22003")]
    assert one(conn, "select batch_no > 30 from signal.pair_states where pair_id = %s", healthy)
    assert one(conn, "select error is not null from signal.pair_monitor where pair_id = %s", broken)
    assert parity(conn, session) == []


def test_inputs_that_raise_stop_their_strategy_alone(conn: psycopg.Connection) -> None:
    load_wave(conn, NEXT_OPEN, 60)
    cross, _, fade = examples()
    conn.execute(cross)
    conn.execute(fade)
    conn.execute(
        "create or replace function desk.inputs_fade(p_instruments integer[], p_from timestamptz,"
        " p_to timestamptz) returns table (as_of timestamptz, instrument_id integer,"
        " features double precision[]) language plpgsql stable as"
        " $$ begin raise exception 'no features today'; end $$"
    )
    session = trade(conn, 60)
    rows = conn.execute("select instance_id, message from signal.strategy_errors").fetchall()
    assert rows == [(None, "no features today")]
    assert one(conn, "select count(*) from signal.instance_states") == 1
    assert parity(conn, session) == []


def test_signal_before_every_leg_has_a_quote_stops_the_instance(conn: psycopg.Connection) -> None:
    load_wave(conn, NEXT_OPEN, 20)
    conn.execute(BAD)
    conn.execute("insert into ref.instruments (symbol) values ('C')")
    conn.execute(
        "create or replace function bad.step(s bad.state, i signal.step_input, p bad.parameters)"
        " returns bad.state language sql immutable as"
        " $$ select row(1, 'enter', array[1, 1])::bad.state $$"
    )
    conn.execute(
        "select signal.save_instance('bad', array['A', 'C'], 'test', "
        "'{\"mode\": null, \"at\": 1}', '{}', %s)",
        (OPEN,),
    )
    trade(conn, 20)
    assert "before the first quote" in one(conn, "select message from signal.strategy_errors")


REFUSED = [
    ("create function bad.f(s bad.state, i signal.step_input, p bad.parameters) returns bad.state"
     " language sql stable as 'select s'", "must be immutable"),
    ("create function bad.f(s bad.state, i signal.step_input, p bad.parameters) returns bad.state"
     " language sql immutable strict as 'select s'", "must not be strict"),
    ("create function bad.f(s bad.state, i signal.pairs_input, p bad.parameters) returns bad.state"
     " language sql immutable as 'select s'", "is no step"),
    ("create function bad.f(s bad.parameters, i signal.step_input, p bad.parameters)"
     " returns bad.parameters language sql immutable as 'select s'", "needs event text"),
    ("create function bad.f(s bad.state, i signal.step_input, p integer) returns bad.state"
     " language sql immutable as 'select s'", "composite type"),
    ("create function bad.f(s bad.state, i signal.step_input, p bad.parameters)"
     " returns setof bad.state language sql immutable as 'select s'", "is no step"),
    ("create function bad.f(s bad.state, i signal.step_input, p bad.parameters) returns bad.state"
     " language sql immutable as 'select s'; alter function bad.f owner to tsdb_quant",
     "another role"),
]  # fmt: skip


@pytest.mark.parametrize(("function", "message"), REFUSED)
def test_register_strategy_function_that_will_not_do_is_refused(
    conn: psycopg.Connection,
    connect_as: Callable[..., psycopg.Connection],
    function: str,
    message: str,
) -> None:
    conn.execute(BAD)
    connect_as("postgres").execute(function)
    if "alter function" not in function:
        connect_as("postgres").execute("alter function bad.f owner to tsdb_trader")
    with pytest.raises(psycopg.Error, match=message) as caught:
        conn.execute("select signal.register_strategy('f', 'f', 'bad.f'::regproc::oid)")
    assert caught.value.sqlstate == "TT001"


def test_register_strategy_inputs_or_name_that_will_not_do_are_refused(
    conn: psycopg.Connection,
) -> None:
    conn.execute(BAD)
    step = "'bad.step(bad.state, signal.step_input, bad.parameters)'"
    conn.execute(
        "create function bad.inputs(integer[], timestamptz, timestamptz) returns table "
        "(as_of timestamptz, instrument_id integer, feature double precision) "
        "language sql stable as $$ select now(), 1, 1::float8 $$"
    )
    for arguments, message, state in (
        (f"'Bad', 'x', {step}", "lower-case", "TT001"),
        (f"'b', '', {step}", "description", "TT001"),
        (f"'b', 'x', {step}, null, '-1 day'", "lookback", "TT001"),
        (f"'b', 'x', {step}, 'bad.inputs(integer[], timestamptz, timestamptz)'", "is no inputs",
         "TT001"),
        (f"'pairs', 'x', {step}", "of the platform", "TT004"),
        (f"'manual', 'x', {step}", "of the platform", "TT004"),
        ("'b', 'x', null", "needs a step", "TT001"),
    ):  # fmt: skip
        with pytest.raises(psycopg.Error, match=message) as caught:
            conn.execute(f"select signal.register_strategy({arguments})")
        assert caught.value.sqlstate == state


def test_register_strategy_again_takes_new_code_and_refuses_new_types(
    conn: psycopg.Connection,
) -> None:
    conn.execute(BAD)
    before = one(conn, "select code_hash from signal.strategies where strategy = 'bad'")
    conn.execute(
        "create or replace function bad.step(s bad.state, i signal.step_input, p bad.parameters)"
        " returns bad.state language sql immutable as 'select s'"
    )
    assert one(conn, "select signal.code_hash('bad')") != before
    step = "bad.step(bad.state, signal.step_input, bad.parameters)"
    first = one(conn, "select strategy_id from signal.strategies where strategy = 'bad'")
    assert one(conn, "select signal.register_strategy('bad', 'New', %s)", step) == first
    assert one(conn, "select signal.code_hash('bad') = code_hash from signal.strategies "
                     "where strategy = 'bad'")  # fmt: skip
    conn.execute(
        "create type bad.other as (n integer);"
        "create function bad.step(s bad.state, i signal.step_input, p bad.other)"
        " returns bad.state language sql immutable as 'select s'"
    )
    with pytest.raises(psycopg.Error, match="give new types a new name"):
        conn.execute(
            "select signal.register_strategy('bad', 'New', "
            "'bad.step(bad.state, signal.step_input, bad.other)')"
        )


def test_save_instance_input_that_cannot_be_is_refused(conn: psycopg.Connection) -> None:
    load_wave(conn, NEXT_OPEN, 5)
    good = {
        "strategy": "s_score", "symbols": ["A", "B"], "feed": "test", "from": OPEN, "to": "infinity",
        "parameters": '{"sample_s": 60, "window": 60, "entry": 1.25, "exit_long": 0.5,'
                      ' "exit_short": 0.75, "max_reversion": 30, "notional": 10000}',
    }  # fmt: skip
    save = (
        "select signal.save_instance(%(strategy)s, %(symbols)s, %(feed)s, %(parameters)s, '{}', "
        "%(from)s, %(to)s)"
    )
    assert conn.execute(save, good).fetchone()
    text = str(good["parameters"])
    for change, message, state in (
        ({"strategy": "none"}, "does not exist", "TT002"),
        ({"strategy": "pairs"}, "use signal.save_pair", "TT004"),
        ({"strategy": "manual"}, "no instances", "TT004"),
        ({"symbols": ["A", "X"]}, "X", "TT002"),
        ({"symbols": ["A", "A"]}, "each symbol once", "TT001"),
        ({"symbols": []}, "from 1 to 100", "TT001"),
        ({"feed": "none"}, "load it first", "TT002"),
        ({"to": OPEN}, "until a later one", "TT001"),
        ({"parameters": "[]"}, "JSON object", "TT001"),
        ({"parameters": text.replace('"window": 60, ', "")}, '"window" is missing', "TT001"),
        ({"parameters": text.replace("window", "windows")}, '"window" is missing', "TT001"),
        ({"parameters": text.replace("{", '{"x": 1, ')}, '"x" is unknown', "TT001"),
        ({"parameters": text.replace('"window": 60', '"window": 5')}, "window from 10", "TT001"),
        ({"parameters": text.replace("1.25", "0.6")}, "exits below entry", "TT001"),
        ({"parameters": text.replace("1.25", '"x"')}, "out of range", "TT001"),
        ({"parameters": text.replace("10000", '"NaN"')}, "notional above zero", "TT001"),
        ({"parameters": text.replace("10000", "null")}, "notional", "TT001"),
        ({"parameters": re.sub(r": [0-9.]+", ": null", text)}, "all null", "TT001"),
    ):
        with pytest.raises(psycopg.Error, match=message) as caught:
            conn.execute(save, good | change)
        assert caught.value.sqlstate == state, change


def test_save_instance_later_one_ends_the_earlier(conn: psycopg.Connection) -> None:
    load_wave(conn, NEXT_OPEN, 5)
    conn.execute(BAD)
    save = "select signal.save_instance('bad', %s, 'test', '{\"mode\": null, \"at\": 1}', '{}', %s, %s)"
    hour = timedelta(hours=1)
    conn.execute(save, (["A", "B"], OPEN, OPEN + 10 * hour))
    conn.execute(save, (["B", "A"], OPEN + 4 * hour, OPEN + 6 * hour))
    conn.execute(save, (["A"], OPEN, "infinity"))
    rows = conn.execute(
        "select valid_from, valid_to from signal.instances where superseded_at = 'infinity' "
        "and cardinality(instruments) = 2 order by 1"
    ).fetchall()
    assert rows == [(OPEN, OPEN + 4 * hour), (OPEN + 4 * hour, OPEN + 6 * hour)]


def test_bind_pairs_pins_instances_by_validity_or_by_name(conn: psycopg.Connection) -> None:
    load_wave(conn, NEXT_OPEN, 10)
    conn.execute(BAD)
    pair, instance = save_pair(conn), add_bad(conn, "none")
    session = open_replay(conn, NEXT_OPEN, 10)
    assert one(conn, "select signal.bind_pairs(%s)", session) == 2
    other = open_replay(conn, NEXT_OPEN, 10)
    assert one(conn, "select signal.bind_pairs(%s, 'main', %s)", other, [instance]) == 1
    assert pair != instance
    early = open_replay(conn, OPEN - timedelta(hours=1), 10)
    with pytest.raises(psycopg.Error, match="not valid at its start"):
        conn.execute("select signal.bind_pairs(%s, 'main', %s)", (early, [instance]))
    conn.execute("update signal.strategies set status = 'disabled' where strategy = 'bad'")
    third = open_replay(conn, NEXT_OPEN, 10)
    assert one(conn, "select signal.bind_pairs(%s)", third) == 1
