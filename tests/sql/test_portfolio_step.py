"""Portfolios: netting, constraints, rebalances, their orders, lineage and parity."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from psycopg.rows import namedtuple_row
from psycopg.types.json import Jsonb

from factories import Venue
from pair_market import NEXT_OPEN, OPEN, add_source, open_replay, save_pair, wave, write_batches

T0 = datetime(2013, 10, 8, 14, 0, tzinfo=UTC)
Event = tuple[int, float | None, str | None, dict[int, int]]
MIDS = {1: 100.0, 2: 50.0, 3: 20.0, 4: 10.0}
SECTORS = {1: "tech", 2: "tech", 3: "oil", 4: None}
BETAS = {1: 1.0, 2: 0.5, 3: -1.0, 4: None}


def one(conn: psycopg.Connection, statement: str, *arguments: Any) -> Any:
    row = conn.execute(statement, arguments).fetchone()
    assert row is not None
    return row[0]


def fold(
    conn: psycopg.Connection, steps: list[list[Event]], mids: dict[int, float] = MIDS, **limits: Any
) -> list[Any]:
    """Fold events (instance, score, blocked, legs) step by step; the state after each."""
    inputs = [
        {
            "as_of": T0.isoformat(),
            "instance_ids": [e[0] for e in events],
            "scores": [e[1] for e in events],
            "blocked": [e[2] for e in events],
            "leg_instances": [e[0] for e in events for _ in e[3]],
            "leg_instruments": [i for e in events for i in e[3]],
            "leg_quantities": [q for e in events for q in e[3].values()],
            "instruments": list(mids),
            "mids": list(mids.values()),
            "sectors": [SECTORS[i] for i in mids],
            "betas": [BETAS[i] for i in mids],
        }
        for events in steps
    ]
    with conn.cursor(row_factory=namedtuple_row) as cursor:
        return cursor.execute(
            """select (s.state).* from (
                   select u.n, signal.run_portfolio(
                       jsonb_populate_record(null::signal.portfolio_input, u.i),
                       jsonb_populate_record(null::signal.portfolio_parameters, %s))
                       over (order by u.n) as state
                   from jsonb_array_elements(%s) with ordinality u (i, n)) s order by s.n""",
            (Jsonb(limits), Jsonb(inputs)),
        ).fetchall()


def net(state: Any) -> dict[int, int]:
    return dict(zip(state.instruments, state.quantities, strict=True))


def refused(state: Any) -> dict[int, str]:
    return dict(zip(state.refused, state.reasons, strict=True))


def test_step_portfolio_without_constraints_nets_what_instances_share(
    conn: psycopg.Connection,
) -> None:
    first, second, third = fold(
        conn,
        [
            [(11, 2.0, None, {1: 100, 2: -200}), (12, 2.5, None, {2: 200, 3: -50})],
            [(11, 0.1, None, {1: 0, 2: 0})],
            [(12, 0.1, None, {2: 0, 3: 0})],
        ],
    )
    assert net(first) == {1: 100, 3: -50}
    assert (first.changed, first.changed_quantities) == ([1, 3], [100, -50])
    # What netted away is there again when the other side leaves.
    assert net(second) == {2: 200, 3: -50}
    assert (second.changed, second.changed_quantities) == ([1, 2], [0, 200])
    assert (net(third), third.changed, third.leg_instances) == ({}, [2, 3], [])


@pytest.mark.parametrize(
    ("limits", "events", "expected"),
    [
        # 1 and 2 are worth 10,000 each: the one with the larger score gets the room.
        ({"max_gross": 25_000},
         [(11, 2.0, None, {1: 100, 2: -200}), (12, -2.5, None, {3: 500, 4: -1000})], {11: "gross"}),
        # Netted they need less than one alone.
        ({"max_gross": 25_000},
         [(11, 2.0, None, {1: 100, 2: -200}), (12, -2.5, None, {2: 200, 3: -500})], {}),
        ({"max_gross": 20_000}, [(11, 2.0, None, {1: 100, 2: -200})], {}),
        ({"max_gross": 19_999}, [(11, 2.0, None, {1: 100, 2: -200})], {11: "gross"}),
        ({"max_sector_net": 5_000}, [(11, 2.0, None, {1: 100, 2: -100})], {}),
        ({"max_sector_net": 4_999}, [(11, 2.0, None, {1: 100, 2: -100})], {11: "sector tech"}),
        ({"max_sector_net": 0}, [(11, 2.0, None, {1: 1, 3: -5})], {11: "sector oil"}),
        ({"max_sector_net": 1e9}, [(11, 2.0, None, {1: 1, 4: -10})], {11: "no sector"}),
        # beta * value: 10,000 - 0.5 * 10,000.
        ({"max_market_net": 5_000}, [(11, 2.0, None, {1: 100, 2: -200})], {}),
        ({"max_market_net": 4_999}, [(11, 2.0, None, {1: 100, 2: -200})], {11: "market"}),
        ({"max_market_net": 1e9}, [(11, 2.0, None, {1: 1, 4: -10})], {11: "no beta"}),
        ({"max_positions": 1}, [(11, 2.0, None, {1: 1}), (12, -3.0, None, {2: 1})],
         {11: "positions"}),
        # Equal scores: the lower id first; none comes last.
        ({"max_positions": 1}, [(12, 2.0, None, {1: 1}), (11, -2.0, None, {2: 1}),
                                (10, None, None, {3: 1})], {12: "positions", 10: "positions"}),
        ({}, [(11, 2.0, "status: X is halted", {1: 1, 2: -1})], {11: "status: X is halted"}),
    ],
)  # fmt: skip
def test_step_portfolio_entry_that_breaks_a_constraint_is_refused_with_its_reason(
    conn: psycopg.Connection,
    limits: dict[str, float],
    events: list[Event],
    expected: dict[int, str],
) -> None:
    (state,) = fold(conn, [events], **limits)
    assert refused(state) == expected
    legs: dict[int, int] = {}
    for instance, _, _, quantities in events:
        if instance not in expected:
            for instrument, quantity in quantities.items():
                legs[instrument] = legs.get(instrument, 0) + quantity
    assert net(state) == {i: q for i, q in legs.items() if q}


def test_step_portfolio_exit_is_accepted_whatever_the_constraints_say(
    conn: psycopg.Connection,
) -> None:
    # Netted, 11 and 12 need no room in 2; alone, what is left of 12 needs more than there is.
    events: list[list[Event]] = [
        [(11, 2.0, None, {1: 100, 2: -200}), (12, 2.0, None, {2: 200, 3: -1})],
        [(11, 0.0, "blocked", {1: 0, 2: 0}), (13, 9.0, None, {1: 200})],
        [(12, 1.0, None, {2: 100, 3: -1})],
    ]
    first, second, third = fold(conn, events, max_gross=20_100)
    assert refused(first) == {}
    assert refused(second) == {13: "gross"}
    assert net(second) == {2: 200, 3: -1}
    # Less of every leg is no entry.
    assert (refused(third), net(third)) == ({}, {2: 100, 3: -1})


def test_step_portfolio_refused_increase_keeps_what_was_accepted(conn: psycopg.Connection) -> None:
    first, second = fold(
        conn, [[(11, 1.0, None, {1: 50})], [(11, 1.0, None, {1: 500})]], max_gross=10_000
    )
    assert (net(first), net(second), second.changed) == ({1: 50}, {1: 50}, [])
    assert refused(second) == {11: "gross"}


def test_step_portfolio_without_a_price_refuses_entries_where_a_constraint_needs_it(
    conn: psycopg.Connection,
) -> None:
    steps: list[list[Event]] = [[(11, 1.0, None, {1: 50, 2: -5})]]
    unknown: dict[int, Any] = {1: 100.0, 2: None}
    (state,) = fold(conn, steps, unknown, max_gross=1e9)
    assert refused(state) == {11: "no price"}
    (state,) = fold(conn, steps, unknown, max_positions=5)
    assert refused(state) == {}


def test_step_portfolio_input_without_an_instrument_it_holds_is_an_error(
    conn: psycopg.Connection,
) -> None:
    with pytest.raises(psycopg.Error, match="lacks instruments") as caught:
        fold(conn, [[(11, 1.0, None, {5: 50})]])
    assert caught.value.sqlstate == "TT001"


SECONDS = 200


def load(conn: psycopg.Connection) -> None:
    """Store A around B and C around B: two pairs that share B."""
    leg_a, leg_b = wave(NEXT_OPEN, SECONDS, 7)
    add_source(conn, "A", leg_a)
    add_source(conn, "B", leg_b)
    add_source(conn, "C", wave(NEXT_OPEN, SECONDS, 8)[0])
    save_pair(conn)
    save_pair(conn, symbols=("C", "B"))
    conn.execute("update ref.instruments set sector = 'x'")
    for symbol, beta in (("A", 1.0), ("B", 0.9), ("C", 1.1)):
        conn.execute("select signal.save_beta(%s, %s, %s)", (symbol, beta, OPEN))


def trade(conn: psycopg.Connection, parameters: dict[str, Any] | None) -> uuid.UUID:
    """Replay with a portfolio and submit its orders; the session."""
    session = open_replay(conn, NEXT_OPEN, SECONDS)
    conn.execute("select signal.bind_pairs(%s)", (session,))
    if parameters is not None:
        count = one(
            conn, "select signal.bind_portfolio(%s, 'pairs', %s)", session, Jsonb(parameters)
        )
        assert count == 3
    for batch in write_batches(conn, session, NEXT_OPEN, SECONDS):
        if one(conn, "select signal.on_batch(%s)", batch) > 0:
            conn.execute("select oms.submit_signals(%s)", (batch,))
            for (order,) in conn.execute(
                "select order_id from oms.orders where session_id = %s and status = 'pending_new' "
                "order by 1", (session,)
            ).fetchall():  # fmt: skip
                Venue(conn, order).fill(one(
                    conn, "select quantity::int from oms.orders where order_id = %s", order))  # fmt: skip
    return session


def parity(conn: psycopg.Connection, session: uuid.UUID) -> list[Any]:
    return conn.execute("select * from backtest.parity(%s)", (session,)).fetchall()


def test_portfolio_session_trades_the_net_and_parity_and_lineage_reach_the_pairs(
    conn: psycopg.Connection,
) -> None:
    load(conn)
    session = trade(conn, {})
    assert parity(conn, session) == []
    denied = conn.execute(
        "select distinct reasons from oms.orders where status = 'denied'"
    ).fetchall()
    assert denied == []
    # The strategy's position is the sum of what its pairs want, for every instrument.
    rows = conn.execute(
        """with wanted as (
               select t.instrument_id, sum(t.target_quantity) as quantity
               from (select distinct on (pair_id) signal_id, as_of from signal.signals
                     where pair_id is not null order by pair_id, signal_id desc) g
               join signal.targets t using (signal_id, as_of) group by 1)
           select coalesce(w.quantity, 0), coalesce(p.quantity, 0)
           from wanted w full join portfolio._positions p using (instrument_id)"""
    ).fetchall()
    assert len(rows) == 3
    assert all(wanted == held for wanted, held in rows)
    assert one(conn, "select count(*) from oms.orders where pair_id is not null") == 0
    assert (
        one(conn, "select bool_or(traded) from signal.signals where pair_id is not null") is False
    )
    found = conn.execute(
        """select count(*), count(source_signal_ids), count(quote_1_ts), count(quote_2_ts),
               bool_and(quote_1_symbol = symbol) from oms.lineage where session_id = %s""",
        (session,),
    ).fetchone()
    assert found is not None
    assert found[0] > 10
    assert found == (found[0], found[0], found[0], 0, True)
    failed = conn.execute(
        "select invariant from ops.check_invariants(%s) where not passed and invariant not like "
        "'%%FIX%%' and invariant not like '%%venue%%'", (session,)
    ).fetchall()  # fmt: skip
    assert failed == []


def test_portfolio_session_refuses_by_constraint_and_parity_holds(conn: psycopg.Connection) -> None:
    load(conn)
    session = trade(conn, {"max_positions": 1, "max_gross": 1e6, "max_market_net": 1e5,
                           "max_sector_net": 1e5})  # fmt: skip
    reasons = {r[0] for r in conn.execute(
        "select distinct refusal from signal.signals where refusal is not null").fetchall()}  # fmt: skip
    assert reasons == {"positions"}
    assert parity(conn, session) == []
    for change, kind in (
        ("update signal.signals set refusal = null", "differing_signal"),
        ("update signal.signals set traded = true", "differing_signal"),
        ("delete from signal.signals where event = 'rebalance'", "missing_signal"),
        ("update signal.targets set target_quantity = 1 where signal_id in "
         "(select signal_id from signal.signals where pair_id is null)", "target"),
        ("update signal.portfolio_states set state.quantities = '{1}'", "portfolio_state"),
        ("delete from signal.portfolio_states", "portfolio_state"),
        ("update signal.portfolios set parameters.max_positions = 2", "missing_signal"),
    ):  # fmt: skip
        with conn.transaction(force_rollback=True):
            conn.execute(change)
            assert kind in {row[0] for row in parity(conn, session)}, change


def test_signal_with_a_leg_that_is_not_active_is_recorded_and_not_traded(
    conn: psycopg.Connection,
) -> None:
    load(conn)
    conn.execute("update ref.instruments set status = 'halted' where symbol = 'C'")
    session = trade(conn, None)
    rows = conn.execute(
        """select distinct g.refusal, g.traded from signal.signals g join signal.pairs p using (pair_id)
           where g.event like 'enter%%' and p.instrument_a = ref.instrument_id('C')"""
    ).fetchall()
    assert rows == [("status: C is halted", False)]
    assert one(conn, "select bool_and(traded) from signal.signals where event = 'exit'")
    symbols = conn.execute(
        "select distinct i.symbol from oms.orders join ref.instruments i using (instrument_id)"
    ).fetchall()
    assert sorted(symbols) == [("A",), ("B",)]
    assert parity(conn, session) == []
    assert one(conn, "select bool_or('C is halted' = any (blocked_by)) from signal.pair_monitor")
    netted = trade(conn, {})
    assert one(conn, "select count(*) > 0 from signal.signals where session_id = %s "
                     "and refusal = 'status: C is halted'", netted)  # fmt: skip
    assert parity(conn, netted) == []


def test_bind_portfolio_input_that_cannot_be_is_refused(conn: psycopg.Connection) -> None:
    load(conn)
    session = open_replay(conn, NEXT_OPEN, 10)
    conn.execute("select signal.bind_pairs(%s)", (session,))
    for arguments, message, state in (
        ((uuid.uuid4(), "pairs", {}, "main"), "does not exist", "TT002"),
        ((session, "none", {}, "main"), "does not exist", "TT002"),
        ((session, "manual", {}, "main"), "not stepped", "TT002"),
        ((session, "pairs", {}, "none"), "account", "TT002"),
        ((session, "pairs", {}, "suspense"), "trades in account", "TT001"),
        ((session, "pairs", [], "main"), "JSON object", "TT001"),
        ((session, "pairs", {"gross": 1}, "main"), 'unknown parameter "gross"', "TT001"),
        ((session, "pairs", {"max_gross": 0}, "main"), "max_gross", "TT001"),
        ((session, "pairs", {"max_gross": "NaN"}, "main"), "max_gross", "TT001"),
        ((session, "pairs", {"max_gross": "x"}, "main"), "not a number", "TT001"),
        ((session, "pairs", {"max_positions": 0}, "main"), "max_positions", "TT001"),
        ((session, "pairs", {"max_sector_net": -1}, "main"), "max_sector_net", "TT001"),
        ((session, "pairs", {"max_market_net": -1}, "main"), "max_market_net", "TT001"),
    ):
        with pytest.raises(psycopg.Error, match=message) as caught:
            conn.execute(
                "select signal.bind_portfolio(%s, %s, %s, %s)",
                (arguments[0], arguments[1], Jsonb(arguments[2]), arguments[3]),
            )
        assert caught.value.sqlstate == state, arguments
    for batch in write_batches(conn, session, NEXT_OPEN, 3):
        conn.execute("select signal.on_batch(%s)", (batch,))
    with pytest.raises(psycopg.Error, match="its portfolios are fixed"):
        conn.execute("select signal.bind_portfolio(%s, 'pairs', '{}')", (session,))


def test_read_exposures_is_point_in_time(conn: psycopg.Connection) -> None:
    load(conn)
    a = one(conn, "select ref.instrument_id('A')")
    conn.execute("select signal.save_beta('A', 2, %s)", (NEXT_OPEN,))
    conn.execute("select signal.save_beta('A', 3, %s)", (NEXT_OPEN,))
    beta = "select beta from signal.read_exposures(array[%s], %s)"
    assert one(conn, beta, a, OPEN) == 1
    assert one(conn, beta, a, NEXT_OPEN) == 3
    assert one(conn, "select count(*) from signal.betas where superseded_at < 'infinity'") == 1
    with pytest.raises(psycopg.Error, match="finite"):
        conn.execute("select signal.save_beta('A', 'NaN', %s)", (OPEN,))


def test_exit_with_a_leg_that_is_not_active_still_closes_the_other(
    conn: psycopg.Connection,
) -> None:
    load(conn)
    session = open_replay(conn, NEXT_OPEN, SECONDS)
    conn.execute("select signal.bind_pairs(%s)", (session,))
    entered = False
    for batch in write_batches(conn, session, NEXT_OPEN, SECONDS):
        conn.execute("select signal.on_batch(%s)", (batch,))
        event = conn.execute(
            "select event from signal.signals g join signal.pairs p using (pair_id) where batch_id = %s "
            "and p.instrument_a = ref.instrument_id('A')", (batch,)
        ).fetchone()  # fmt: skip
        if event is None or (not entered and not event[0].startswith("enter")):
            continue
        conn.execute("select oms.submit_signals(%s)", (batch,))
        if entered:
            break
        entered = True
        for order, quantity in conn.execute(
            "select order_id, quantity::int from oms.orders where status = 'pending_new'"
        ).fetchall():
            Venue(conn, order).fill(quantity)
        conn.execute("update ref.instruments set status = 'halted' where symbol = 'A'")
    rows = dict(
        conn.execute(
            """select i.symbol, o.status from oms.orders o join ref.instruments i using (instrument_id)
               join signal.signals g using (signal_id) join signal.pairs p on p.pair_id = g.pair_id
               where g.event in ('exit', 'stop') and p.instrument_a = ref.instrument_id('A')"""
        ).fetchall()
    )
    assert rows == {"A": "denied", "B": "pending_new"}
    assert one(conn, "select quantity from oms.pair_holdings h join ref.instruments i "
                     "using (instrument_id) where i.symbol = 'A' limit 1") != Decimal(0)  # fmt: skip
