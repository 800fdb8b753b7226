"""Saving and binding pairs, and stepping them batch by batch."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from pair_market import (
    NEXT_OPEN,
    OPEN,
    add_source,
    load_wave,
    open_replay,
    save_pair,
    trade_session,
    write_batches,
)

HOUR = timedelta(hours=1)


def one(conn: psycopg.Connection, statement: str, *arguments: Any) -> Any:
    row = conn.execute(statement, arguments).fetchone()
    assert row is not None
    return row[0]


@pytest.fixture
def market(conn: psycopg.Connection) -> psycopg.Connection:
    """Return a connection to a database with two legs of 60 seconds and one pair."""
    load_wave(conn, NEXT_OPEN, 60)
    save_pair(conn)
    return conn


def valid(conn: psycopg.Connection) -> list[Any]:
    return conn.execute(
        """select (p.parameters).entry, p.valid_from, nullif(p.valid_to, 'infinity') from signal.pairs p
           where p.superseded_at = 'infinity' order by p.valid_from"""
    ).fetchall()


def test_save_pair_later_calibration_ends_the_earlier_one(market: psycopg.Connection) -> None:
    later = OPEN + 8 * HOUR
    first = OPEN + 6 * HOUR
    save_pair(market, symbols=("B", "A"), calibrated=(OPEN, later), entry=3.0)
    assert valid(market) == [(2.0, first, later), (3.0, later, None)]
    # What was known before is still there.
    assert one(market, "select count(*) from signal.pairs where superseded_at < 'infinity'") == 1


def test_save_pair_same_window_again_supersedes(market: psycopg.Connection) -> None:
    save_pair(market, entry=3.0)
    assert valid(market) == [(3.0, OPEN + 6 * HOUR, None)]


def test_save_pair_earlier_calibration_ends_where_the_later_one_starts(
    market: psycopg.Connection,
) -> None:
    save_pair(market, calibrated=(OPEN, OPEN + HOUR), entry=3.0)
    first, second = OPEN + HOUR, OPEN + 6 * HOUR
    assert valid(market) == [(3.0, first, second), (2.0, second, None)]


def test_save_pair_unknown_symbol_or_parameter_writes_nothing(market: psycopg.Connection) -> None:
    with pytest.raises(psycopg.Error) as unknown:
        save_pair(market, symbols=("A", "X"))
    with pytest.raises(psycopg.Error) as wrong:
        save_pair(market, entry=-1.0)
    assert (unknown.value.sqlstate, wrong.value.sqlstate) == ("TT002", "TT001")
    assert one(market, "select count(*) from signal.pairs") == 1


def test_bind_pairs_takes_those_valid_at_the_start(market: psycopg.Connection) -> None:
    session = open_replay(market, NEXT_OPEN, 60)
    assert one(market, "select signal.bind_pairs(%s)", session) == 1
    assert one(market, "select signal.bind_pairs(%s)", session) == 1
    early = open_replay(market, OPEN, 60)
    assert one(market, "select signal.bind_pairs(%s)", early) == 0


def test_bind_pairs_named_pair_not_valid_yet_is_refused(market: psycopg.Connection) -> None:
    early = open_replay(market, OPEN, 60)
    pair = one(market, "select pair_id from signal.pairs")
    with pytest.raises(psycopg.Error, match="not valid at its start"):
        market.execute("select signal.bind_pairs(%s, 'main', %s)", (early, [pair]))
    with pytest.raises(psycopg.Error, match="pair 99 does not exist"):
        market.execute("select signal.bind_pairs(%s, 'main', %s)", (early, [99]))


def test_bind_pairs_two_calibrations_of_one_pair_are_refused(market: psycopg.Connection) -> None:
    pair = one(market, "select pair_id from signal.pairs")
    other = save_pair(market, symbols=("B", "A"))
    session = open_replay(market, NEXT_OPEN, 60)
    with pytest.raises(psycopg.Error, match="two calibrations"):
        market.execute("select signal.bind_pairs(%s, 'main', %s)", (session, [pair, other]))


def test_bind_pairs_after_the_first_step_is_refused(market: psycopg.Connection) -> None:
    session = open_replay(market, NEXT_OPEN, 60)
    (batch, *_) = write_batches(market, session, NEXT_OPEN, 3)
    market.execute("select signal.on_batch(%s)", (batch,))
    with pytest.raises(psycopg.Error, match="its pairs are fixed"):
        market.execute("select signal.bind_pairs(%s)", (session,))


def test_on_batch_whole_session_records_signals_with_targets_and_quotes(
    conn: psycopg.Connection,
) -> None:
    session = trade_session(conn)
    entries, exits, others = conn.execute(
        """select count(*) filter (where event like 'enter%%'), count(*) filter (where event = 'exit'),
               count(*) filter (where event = 'stop') from signal.signals where session_id = %s""",
        (session,),
    ).fetchone() or (0, 0, 0)
    assert entries > 3
    assert 0 <= entries - exits - others <= 1
    wrong = one(
        conn,
        """select count(*) from signal.signals g
           join signal.targets t on t.signal_id = g.signal_id and t.as_of = g.as_of
           left join market._quotes q on q.instrument_id = t.instrument_id and q.ts = t.quote_ts
               and q.source_id = t.quote_source_id and q.seq = t.quote_seq
           where q.ts is null or q.ts > g.as_of
               or (q.bid_price + q.ask_price) / 2.0::float8 / 10000 <> t.mid
               or (g.target = 0) <> (t.target_quantity = 0)
               or sign(t.target_quantity) <> g.target * case t.leg when 1 then 1 else -1 end""",
    )
    assert wrong == 0
    assert one(conn, "select count(*) from signal.targets") == 2 * one(
        conn, "select count(*) from signal.signals"
    )
    assert one(conn, "select z_score is not null from signal.pair_monitor")


def test_on_batch_twice_changes_nothing(market: psycopg.Connection) -> None:
    session = open_replay(market, NEXT_OPEN, 60)
    market.execute("select signal.bind_pairs(%s)", (session,))
    batches = write_batches(market, session, NEXT_OPEN, 40)
    for batch in batches:
        market.execute("select signal.on_batch(%s)", (batch,))
    everything = """select (select jsonb_agg(s) from signal.signals s),
        (select jsonb_agg(s) from signal.pair_states s),
        (select count(*) from signal.consumed_batches)"""
    before = market.execute(everything).fetchone()
    assert {one(market, "select signal.on_batch(%s)", batch) for batch in batches} == {0}
    assert market.execute(everything).fetchone() == before


def test_on_batch_before_its_turn_is_refused(market: psycopg.Connection) -> None:
    session = open_replay(market, NEXT_OPEN, 60)
    first, second, *_ = write_batches(market, session, NEXT_OPEN, 5)
    assert one(market, "select signal.next_batch(%s)", session) == first
    with pytest.raises(psycopg.Error, match="comes after batch 1") as caught:
        market.execute("select signal.on_batch(%s)", (second,))
    assert caught.value.sqlstate == "TT001"
    market.execute("select signal.on_batch(%s)", (first,))
    assert one(market, "select signal.next_batch(%s)", session) == second
    with pytest.raises(psycopg.Error, match="batch 0 does not exist"):
        market.execute("select signal.on_batch(0)")


def test_on_batch_two_workers_step_a_batch_once(
    market: psycopg.Connection, connect_as: Callable[..., psycopg.Connection]
) -> None:
    session = open_replay(market, NEXT_OPEN, 60)
    market.execute("select signal.bind_pairs(%s)", (session,))
    (batch, *_) = write_batches(market, session, NEXT_OPEN, 3)
    first = connect_as("tsdb_worker_signals", autocommit=False)
    second = connect_as("tsdb_worker_signals")
    first.execute("select signal.on_batch(%s)", (batch,))
    results: list[int] = []
    waiting = threading.Thread(
        target=lambda: results.append(one(second, "select signal.on_batch(%s)", batch))
    )
    waiting.start()
    # The second one queues up behind the first one's lock, seen in the server's own list.
    while not one(
        market, "select count(*) from pg_locks where locktype = 'advisory' and not granted"
    ):
        pass
    first.commit()
    waiting.join()
    assert results == [0]
    assert one(market, "select count(*) from signal.consumed_batches") == 1


def test_on_batch_later_batches_already_there_uses_the_quote_of_its_own_time(
    conn: psycopg.Connection,
) -> None:
    # A jumps at second 2 while B keeps still; B's next quote is there before second 2 is stepped.
    seconds = [NEXT_OPEN + timedelta(seconds=n) for n in range(1, 5)]
    add_source(conn, "A", [(seconds[0], 500_000, 500_000), (seconds[1], 501_250, 501_250)])
    add_source(conn, "B", [(seconds[0], 500_000, 500_000), (seconds[2], 510_000, 510_000)])
    save_pair(conn, mean=0.0)
    session = open_replay(conn, NEXT_OPEN, 10)
    conn.execute("select signal.bind_pairs(%s)", (session,))
    first, second, _ = write_batches(conn, session, NEXT_OPEN, 10)
    assert one(conn, "select signal.on_batch(%s)", first) == 0
    assert one(conn, "select signal.on_batch(%s)", second) == 1
    assert conn.execute(
        "select leg, quote_ts, mid from signal.targets order by leg"
    ).fetchall() == [(1, seconds[1], 50.125), (2, seconds[0], 50.0)]


def test_on_batch_notifies_once_and_only_with_signals(
    conn: psycopg.Connection, connect_as: Callable[..., psycopg.Connection]
) -> None:
    listener = connect_as()
    listener.execute("listen signal_signals")
    trade_session(conn)
    batches = one(conn, "select count(distinct batch_id) from signal.signals")
    assert len(list(listener.notifies(timeout=0))) == batches


@pytest.mark.parametrize("role", ["tsdb_readonly", "tsdb_quant", "tsdb_venue"])
def test_signal_entry_points_other_roles_may_not_call_them(
    market: psycopg.Connection, connect_as: Callable[..., psycopg.Connection], role: str
) -> None:
    session = open_replay(market, NEXT_OPEN, 60)
    other = connect_as(role)
    for call in ("on_batch(1)", f"bind_pairs('{session}')"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            other.execute(f"select signal.{call}")


def test_read_mids_takes_last_usable_quote_of_each_interval_in_regular_hours(
    conn: psycopg.Connection,
) -> None:
    add_source(
        conn,
        "A",
        [
            (OPEN - timedelta(seconds=5), 100, 200),  # before the open
            (OPEN + timedelta(milliseconds=200), 100, 300),
            (OPEN + timedelta(milliseconds=1000), 200, 400),  # the end belongs to its interval
            (OPEN + timedelta(milliseconds=1500), 600, 400),  # crossed
            (OPEN + timedelta(milliseconds=2500), 0, 400),  # one-sided
            (OPEN + timedelta(milliseconds=3500), 400, 400),
            (OPEN + timedelta(hours=7), 100, 200),  # after the close
        ],
    )
    rows = conn.execute(
        "select as_of, mid, bid_price, ask_price from signal.read_mids('test', null, %s, %s)",
        (OPEN - HOUR, OPEN + 9 * HOUR),
    ).fetchall()
    second = timedelta(seconds=1)
    assert rows == [(OPEN + second, 0.03, 0.02, 0.04), (OPEN + 4 * second, 0.04, 0.04, 0.04)]


@pytest.mark.parametrize("grid_ms", [1, 7, 250, 499, 500, 1000])
def test_read_mids_on_any_grid_has_the_last_usable_quote_of_each_interval(
    conn: psycopg.Connection, grid_ms: int
) -> None:
    rng = random.Random(grid_ms)
    quotes, offset = [], -3
    for _ in range(1500):
        # Often several in one millisecond, sometimes none for a second; some crossed, some one-sided.
        offset += rng.choice((0, 0, 1, 3, 40, 700 if rng.random() < 0.1 else 2))
        bid = rng.randint(95, 105) if rng.random() < 0.95 else 0
        quotes.append((OPEN + timedelta(milliseconds=offset), bid, rng.randint(103, 110)))
    add_source(conn, "A", quotes)
    grid, end = timedelta(milliseconds=grid_ms), OPEN + timedelta(milliseconds=offset - 5)
    expected = {}
    for ts, bid, ask in quotes:
        known = OPEN - grid * ((OPEN - ts) // grid)
        if ts > OPEN and known <= end and 0 < bid <= ask:
            expected[known] = (bid / 1e4, ask / 1e4)
    rows = conn.execute(
        "select as_of, bid_price, ask_price from signal.read_mids('test', null, %s, %s, %s)",
        (OPEN, end, grid),
    ).fetchall()
    assert len(rows) > 10
    assert rows == [(ts, *sides) for ts, sides in expected.items()]
