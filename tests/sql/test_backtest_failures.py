"""Instances of a backtest whose step fails: stopped where live stops them, recorded, without effect on others."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

from pair_market import NEXT_OPEN, OPEN, load_wave, open_replay, save_pair, write_batches
from tsdb_trader import research
from tsdb_trader.api import backtest
from tsdb_trader.errors import InputError

SECONDS = 60
WINDOW = (NEXT_OPEN, NEXT_OPEN + timedelta(seconds=SECONDS))
# Changes sides at every third step, so that there is something before it fails.
FLIP = """
create schema flip;
create type flip.parameters as (mode text, at integer, quantity bigint);
create type flip.state as (n integer, x double precision, event text, quantities bigint[], score double precision);
create function flip.step(s flip.state, i signal.step_input, p flip.parameters)
returns flip.state language plpgsql immutable as $$
begin
    s.n := coalesce(s.n, 0) + 1;
    s.x := coalesce(s.x, 0) + ln(coalesce(i.mids[1], 1)) / s.n;
    s.score := s.x;
    s.event := case when s.n % 3 = 1 then 'flip' end;
    s.quantities := array_fill(p.quantity * (2 * (s.n % 2) - 1), array[cardinality(i.mids)]);
    if s.n >= p.at then
        case p.mode
            when 'raise' then raise exception 'broken at step %', s.n;
            when 'assert' then assert false, 'never true';
            when 'nan' then s.quantities := array['NaN'::float8::bigint];
            when 'null' then return null;
            when 'legs' then s.event := 'enter'; s.quantities := '{1,2,3}';
            when 'hole' then s.event := 'enter'; s.quantities := '{null}';
            when 'name' then s.event := 'rebalance';
            else null;
        end case;
    end if;
    return s;
end
$$;
select signal.register_strategy('flip', 'Changes sides', 'flip.step(flip.state, signal.step_input, flip.parameters)');
"""
FAILURES = [
    ("raise", "P0001", "broken at step 10"),
    ("assert", "P0004", "never true"),
    ("nan", "22003", "bigint out of range"),
    ("null", "TT001", "returned null"),
    ("legs", "TT001", "a quantity for each of 1 legs"),
    ("hole", "TT001", "a quantity for each of 1 legs"),
    ("name", "TT001", "no name"),
]
QUOTES = {"source": "quotes", "grid": "1 second"}


def add(
    conn: psycopg.Connection, mode: str = "", symbols: str = "A", at: int = 10, quantity: int = 10
) -> int:
    row = conn.execute(
        "select signal.save_instance('flip', %s, 'test', %s, '{}', %s)",
        (list(symbols), Jsonb({"mode": mode, "at": at, "quantity": quantity}), OPEN),
    ).fetchone()
    assert row is not None
    return int(row[0])


def rows(conn: psycopg.Connection, query: str, *arguments: Any) -> list[tuple[Any, ...]]:
    return conn.execute(query, arguments).fetchall()


def errors(conn: psycopg.Connection, run_id: int) -> list[tuple[Any, ...]]:
    return rows(
        conn,
        """select instance_id, as_of, sql_state, message from backtest.run_errors
           where run_id = %s order by 1""",
        run_id,
    )


def signals(conn: psycopg.Connection, run_id: int, *instances: int) -> list[tuple[Any, ...]]:
    return rows(
        conn,
        """select pair_id, as_of, event, target, float8send(z_score), instruments, quantities
           from backtest.signals where run_id = %s and pair_id = any (%s) order by 1, 2""",
        run_id,
        list(instances),
    )


def fills(conn: psycopg.Connection, run_id: int, *instances: int) -> list[tuple[Any, ...]]:
    return rows(
        conn,
        """select o.pair_id, o.as_of, o.event, o.instrument_id, o.side, o.quantity, x.price, x.fee, x.ts
           from backtest.orders o join backtest.executions x using (run_id, order_id)
           where o.run_id = %s and o.pair_id = any (%s) order by 1, 2, 4""",
        run_id,
        list(instances),
    )


def run(conn: psycopg.Connection, **parameters: Any) -> int:
    return backtest.run(conn, "flip", QUOTES | parameters, *WINDOW).run_id


@pytest.mark.parametrize(("mode", "state", "message"), FAILURES)
def test_instance_whose_step_fails_is_stopped_and_recorded_and_the_others_have_the_same_bits(
    conn: psycopg.Connection, mode: str, state: str, message: str
) -> None:
    load_wave(conn, NEXT_OPEN, SECONDS)
    conn.execute(FLIP)
    first, failing, last = add(conn, symbols="A"), add(conn, mode), add(conn, symbols="B")
    healthy = run(conn, instances=[first, last])
    told: list[str] = []
    conn.add_notice_handler(lambda notice: told.append(notice.message_primary or ""))
    both = run(conn, instances=[first, failing, last])
    assert signals(conn, both, first, last) == signals(conn, healthy, first, last) != []
    assert fills(conn, both, first, last) == fills(conn, healthy, first, last) != []
    ((instance, as_of, sql_state, text),) = errors(conn, both)
    assert (instance, sql_state) == (failing, state)
    assert message in text
    # What it signalled before stays, as of the instance on the same symbol that did not fail.
    before = [row[1:] for row in signals(conn, both, failing)]
    assert before == [row[1:] for row in signals(conn, both, first) if row[1] < as_of]
    assert len(before) == 3
    (warned,) = rows(conn, "select warnings from backtest.runs where run_id = %s", both)
    (failed,) = [warning for warning in warned[0] if warning["kind"] == "failed"]
    assert (failed["instances"], failed["first"], failed["reason"]) == (1, failing, text)
    (notice,) = [line for line in told if "stopped" in line]
    assert notice.startswith(f"1 of 3 instances stopped: instance {failing} of flip failed at ")
    # What it held stays until the end.
    assert rows(conn, "select open_positions from backtest.runs where run_id = %s", both) == [(3,)]
    compared = {m.measure: m for m in backtest.compare(conn, healthy, both)}
    assert (compared["failed_instances"].a, compared["failed_instances"].b) == (0, 1)
    assert compared["failed_instances"].detail == [None, [failing]]
    assert "failed_instances" not in {m.measure for m in backtest.compare(conn, healthy, healthy)}
    assert research.run_errors(conn, both)["instance_id"].tolist() == [failing]


@pytest.mark.parametrize("at", [1, 2, 16, 31])
def test_instance_fails_at_the_step_that_raises_wherever_it_is(
    conn: psycopg.Connection, at: int
) -> None:
    load_wave(conn, NEXT_OPEN, SECONDS)
    conn.execute(FLIP)
    healthy, failing = add(conn), add(conn, "raise", "B", at=at)
    other = add(conn, "assert", "A", at=7) if at == 31 else None
    found = run(conn, instances=[i for i in (healthy, failing, other) if i is not None])
    by_instance = {row[0]: row for row in errors(conn, found)}
    assert by_instance[failing][3] == f"broken at step {at}"
    assert len(signals(conn, found, failing)) == (at + 1) // 3
    assert (other in by_instance) == (other is not None)


@pytest.mark.parametrize(("mode", "state"), [("raise", "P0001"), ("null", "TT001")])
def test_run_over_a_session_stops_an_instance_where_live_did(
    conn: psycopg.Connection, mode: str, state: str
) -> None:
    load_wave(conn, NEXT_OPEN, SECONDS)
    conn.execute(FLIP)
    ids = [add(conn, "", "B"), add(conn, mode, "A")]
    session = open_replay(conn, NEXT_OPEN, SECONDS)
    conn.execute("select signal.bind_pairs(%s)", (session,))
    for batch in write_batches(conn, session, NEXT_OPEN, SECONDS):
        conn.execute("select signal.on_batch(%s)", (batch,))
    assert rows(conn, "select * from backtest.parity(%s)", session) == []
    summary = backtest.run(conn, "flip", {"session_id": str(session)})
    live = rows(
        conn,
        """select pair_id, as_of, event, target, float8send(z_score)
           from signal.signals where session_id = %s order by 1, 2""",
        session,
    )
    assert [row[:5] for row in signals(conn, summary.run_id, *ids)] == live != []
    assert errors(conn, summary.run_id) == rows(
        conn, "select instance_id, as_of, sql_state, message from signal.strategy_errors"
    )
    assert errors(conn, summary.run_id)[0][2] == state


def test_run_in_which_every_instance_fails_is_an_error_and_keeps_nothing(
    conn: psycopg.Connection,
) -> None:
    load_wave(conn, NEXT_OPEN, SECONDS)
    conn.execute(FLIP)
    later, first = add(conn, "raise", "A", at=20), add(conn, "null", "B", at=10)
    with pytest.raises(psycopg.Error) as caught:
        conn.execute("select backtest.run('flip', %s, %s, %s)", (Jsonb(QUOTES), *WINDOW))
    assert caught.value.sqlstate == "TT001"
    message = str(caught.value.diag.message_primary)
    assert message.startswith(f"instance {first} of flip failed at 2013-10-08 ")
    assert message.endswith("the step returned null (so did all 2)")
    assert len((caught.value.diag.context or "").splitlines()) < 10
    with pytest.raises(InputError, match=f"instance {later} of flip failed at .* step 20$"):
        run(conn, instances=[later])
    for table in ("runs", "signals", "orders", "equity", "run_errors"):
        assert rows(conn, f"select count(*) from backtest.{table}") == [(0,)]


def test_inputs_that_raise_are_an_error_that_names_them(conn: psycopg.Connection) -> None:
    load_wave(conn, NEXT_OPEN, SECONDS)
    conn.execute(FLIP)
    conn.execute("""
        create function flip.inputs(p_instruments integer[], p_from timestamptz, p_to timestamptz)
        returns table (as_of timestamptz, instrument_id integer, features double precision[])
        language plpgsql stable as $$ begin raise exception 'no features today'; end $$;
        select signal.register_strategy('flip', 'Changes sides',
            'flip.step(flip.state, signal.step_input, flip.parameters)',
            'flip.inputs(integer[], timestamptz, timestamptz)', '1 minute')""")
    add(conn)
    with pytest.raises(
        InputError, match=r'inputs .*flip.inputs.* "flip" failed: no features today'
    ):
        run(conn)
    assert rows(conn, "select count(*) from backtest.runs") == [(0,)]


def test_signal_before_the_first_price_of_a_leg_stops_the_instance(
    conn: psycopg.Connection,
) -> None:
    load_wave(conn, NEXT_OPEN, SECONDS)
    conn.execute(FLIP)
    conn.execute("insert into ref.instruments (symbol) values ('C')")
    healthy, failing = add(conn), add(conn, symbols="AC")
    found = run(conn, instances=[healthy, failing])
    ((instance, _, state, message),) = errors(conn, found)
    assert (instance, state) == (failing, "TT001")
    assert "before the first price of instrument" in message
    assert signals(conn, found, failing) == []
    assert len(signals(conn, found, healthy)) > 10


def test_pair_whose_step_raises_is_stopped_and_the_others_have_the_same_bits(
    conn: psycopg.Connection,
) -> None:
    load_wave(conn, NEXT_OPEN, 200)
    window = (NEXT_OPEN, NEXT_OPEN + timedelta(seconds=200))
    healthy = save_pair(conn)
    conn.execute("insert into ref.instruments (symbol) values ('C')")
    broken = save_pair(conn, symbols=("A", "C"))
    conn.execute(
        """update signal.pairs set instrument_a = ref.instrument_id('A'), instrument_b = ref.instrument_id('B'),
               parameters.hedge_ratio = 40, parameters.mean = 0, parameters.deviation = 10,
               parameters.entry = 0.001, parameters.exit = 0, parameters.stop = 1e5, parameters.warm_up_s = 5,
               parameters.notional = 5e8
           where pair_id = %s""",
        (broken,),
    )
    # The step that the run folds raises for it, some time after its first entry.
    conn.execute("""
        do $$ declare v_source text := pg_get_functiondef('signal.step_pairs'::regproc);
        begin
            execute replace(v_source, 'return v;',
                'if p_parameters.notional > 1e8 and date_part(''second'', p_input.as_of) = 40 then '
                'perform 1 / (p_input.mid_a * 0)::integer; end if; return v;');
            perform signal._unfold_pairs();
        end $$""")
    alone = backtest.run(conn, "pairs", QUOTES | {"instances": [healthy]}, *window).run_id
    both = backtest.run(conn, "pairs", QUOTES | {"instances": [healthy, broken]}, *window).run_id
    assert signals(conn, both, healthy) == signals(conn, alone, healthy) != []
    assert fills(conn, both, healthy) == fills(conn, alone, healthy)
    ((instance, as_of, state, message),) = errors(conn, both)
    assert (instance, state, message) == (broken, "22012", "division by zero")
    assert as_of.second == 40
    assert {row[1] < as_of for row in signals(conn, both, broken)} == {True}


def test_portfolio_goes_on_without_the_instance_that_failed(conn: psycopg.Connection) -> None:
    load_wave(conn, NEXT_OPEN, SECONDS)
    conn.execute(FLIP)
    first, failing = add(conn, symbols="B"), add(conn, "raise", "A")
    netted = run(conn, instances=[first, failing], portfolio={})
    assert [row[0] for row in errors(conn, netted)] == [failing]
    alone = run(conn, instances=[first], portfolio={})
    assert signals(conn, netted, first) == signals(conn, alone, first) != []
    stopped = errors(conn, netted)[0][1]
    last = rows(
        conn,
        """select instruments, quantities from backtest.signals
           where run_id = %s and event = 'rebalance' and as_of >= %s""",
        netted,
        stopped,
    )
    # From then on only the other instance's instrument changes.
    assert {len(instruments) for instruments, _ in last} == {1}


def test_portfolio_whose_step_raises_is_an_error_that_names_the_time(
    conn: psycopg.Connection,
) -> None:
    load_wave(conn, NEXT_OPEN, SECONDS)
    conn.execute(FLIP)
    conn.execute("""
        create or replace function flip.step(s flip.state, i signal.step_input, p flip.parameters)
        returns flip.state language plpgsql immutable as $$
        begin
            s.n := coalesce(s.n, 0) + 1;
            s.event := 'flip';
            s.quantities := array[case when s.n < p.at then s.n else p.quantity end];
            return s;
        end $$""")
    ids = [add(conn, at=31, quantity=2**62) for _ in range(2)]
    with pytest.raises(InputError, match=r"portfolio of flip failed at 2013-10-08 .*out of range") as caught:  # fmt: skip
        run(conn, instances=ids, portfolio={})
    healthy = run(conn, instances=ids, portfolio={}, at=1_000)
    moments = rows(
        conn,
        """select distinct as_of from backtest.signals
           where run_id = %s and pair_id is not null order by 1""",
        healthy,
    )
    assert moments[30][0].strftime("%H:%M:%S") in str(caught.value)


def test_lookahead_of_a_step_that_raises_names_instance_and_time(conn: psycopg.Connection) -> None:
    load_wave(conn, NEXT_OPEN, SECONDS)
    conn.execute(FLIP)
    add(conn)
    failing = add(conn, "raise", "B")
    with pytest.raises(InputError) as caught:
        backtest.check_lookahead(conn, "flip", *WINDOW, {"source": "quotes"})
    assert f"instance {failing} of flip failed at 2013-10-08 " in str(caught.value)
    assert str(caught.value).endswith("broken at step 10")


def test_sweep_runs_a_point_in_which_one_instance_fails(
    conn: psycopg.Connection, connect_as: Callable[..., psycopg.Connection]
) -> None:
    load_wave(conn, NEXT_OPEN, SECONDS)
    conn.execute(FLIP)
    add(conn)
    failing = add(conn, "raise", "B", at=10)
    told: list[str] = []
    quant = connect_as("tsdb_quant")
    quant.add_notice_handler(lambda notice: told.append(notice.message_primary or ""))
    points = rows(
        quant,
        "select run_id, error from backtest.sweep('flip', %s, %s, %s, %s)",
        Jsonb(QUOTES), Jsonb({"quantity": [1, 2]}), *WINDOW,
    )  # fmt: skip
    assert [error for _, error in points] == [None, None]
    assert [errors(quant, run_id)[0][0] for run_id, _ in points] == [failing, failing]
    assert told == []
    quant.execute("delete from backtest.runs where run_id = %s", (points[0][0],))
    assert errors(quant, points[0][0]) == []
