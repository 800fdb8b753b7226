"""Parity: nothing to report for an untouched session, something after any change."""

from __future__ import annotations

from collections.abc import Callable

import psycopg
import pytest

from pair_market import NEXT_OPEN, load_wave, open_replay, save_pair, trade_session, write_batches

SECONDS = 120
MIDDLE = "(select batch_no from signal.signals order by signal_id offset 1 limit 1)"


def kinds(conn: psycopg.Connection, session_id: object) -> set[str]:
    rows = conn.execute("select kind from backtest.parity(%s)", (session_id,)).fetchall()
    return {row[0] for row in rows}


def test_parity_untouched_session_is_empty_for_a_quant(
    conn: psycopg.Connection, connect_as: Callable[..., psycopg.Connection]
) -> None:
    session = trade_session(conn, SECONDS)
    assert conn.execute("select count(*) > 2 from signal.signals").fetchone() == (True,)
    assert kinds(connect_as("tsdb_quant"), session) == set()


def test_parity_display_settings_change_nothing(conn: psycopg.Connection) -> None:
    session = trade_session(conn, SECONDS)
    conn.execute("set extra_float_digits = -5")
    conn.execute("set timezone = 'America/New_York'")
    assert kinds(conn, session) == set()


CHANGES: list[tuple[str, set[str]]] = [
        (f"delete from signal.signals where batch_no = {MIDDLE}", {"missing_signal", "target"}),
        ("delete from signal.signals", {"missing_signal", "target"}),
        (
            "insert into signal.signals (as_of, session_id, strategy_id, pair_id, batch_id, batch_no,"
            " event, target, spread, z_score) select as_of, session_id, strategy_id, pair_id,"
            " batch_id, batch_no, event, target, spread, z_score from signal.signals limit 1",
            {"extra_signal"},
        ),
        (
            f"update signal.signals set z_score = z_score * (1 + 1e-15) where batch_no = {MIDDLE}",
            {"differing_signal"},
        ),
        ("update signal.signals set event = 'stop' where event = 'exit'", {"differing_signal"}),
        ("update signal.signals set spread = spread + 1e-9", {"differing_signal"}),
        (
            "update signal.targets set target_quantity = target_quantity + 1 where leg = 2",
            {"target"},
        ),
        ("update signal.targets set quote_seq = quote_seq + 1 where leg = 1", {"target"}),
        ("delete from signal.targets where leg = 1", {"target"}),
        ("insert into signal.targets select * from signal.targets limit 1", {"target"}),
        ("update signal.pair_states set state.mean = (state).mean + 1e-12", {"state"}),
        ("update signal.pair_states set state.stopped = 1", {"state"}),
        ("delete from signal.pair_states", {"state"}),
        ("update signal.pairs set parameters.notional = 1", {"parameters", "state"}),
        ("update signal.pairs set parameters.max_gap_s = 301", {"parameters"}),
        ("update signal.session_pairs set digest = 'x'", {"parameters"}),
        ("delete from signal.consumed_batches where consumption_no = 50", {"unconsumed_batch"}),
        ("delete from signal.consumed_batches", {"unconsumed_batch"}),
        ("update signal.consumed_batches set signals = signals + 1 where consumption_no = 50",
         {"consumption"}),
        ("update signal.consumed_batches set consumption_no = 1000 where consumption_no = 50",
         {"consumption"}),
        ("delete from market.batch_quotes where batch_no = 50", {"batch_quote"}),
        ("update market.batch_quotes set bid_size = 1 where batch_no = 50", {"batch_quote"}),
        ("update market.batches set digest = digest + 1 where batch_no = 50", {"tick_digest"}),
        ("update market.batches set batch_no = 1000 where batch_no = 50", {"batch_gap"}),
        ("delete from market.batch_ranges", {"tick_digest", "batch_quote", "state"}),
]  # fmt: skip


def test_parity_after_any_change_says_what_differs(conn: psycopg.Connection) -> None:
    session = trade_session(conn, SECONDS)
    for change, expected in CHANGES:
        with conn.transaction(force_rollback=True):
            assert conn.execute(change).rowcount > 0, change
            assert kinds(conn, session) >= expected, change
    assert kinds(conn, session) == set()


def test_parity_any_one_tick_changed_is_seen(conn: psycopg.Connection) -> None:
    session = trade_session(conn, 40)
    ticks = conn.execute("select source_id, seq from market._quotes").fetchall()
    columns = ("bid_price", "ask_size", "ns", "flags")
    for n, key in enumerate(ticks):
        with conn.transaction(force_rollback=True):
            column = columns[n % len(columns)]
            conn.execute(
                f"update market._quotes set {column} = {column} + 1 "
                "where source_id = %s and seq = %s",
                key,
            )
            assert "tick_digest" in kinds(conn, session)
    assert kinds(conn, session) == set()


def test_parity_tick_deleted_added_or_moved_is_seen(conn: psycopg.Connection) -> None:
    session = trade_session(conn, 40)
    for change in (
        "delete from market._quotes where seq = 10",
        "insert into market._quotes select * from market._quotes where seq = 10 limit 1",
        "update market._quotes set ts = ts + interval '1 microsecond' where seq = 10",
    ):
        with conn.transaction(force_rollback=True):
            conn.execute(change)
            assert "tick_digest" in kinds(conn, session)


def test_parity_bound_session_nobody_stepped_is_not_empty(conn: psycopg.Connection) -> None:
    load_wave(conn, NEXT_OPEN, SECONDS)
    save_pair(conn)
    session = open_replay(conn, NEXT_OPEN, SECONDS)
    conn.execute("select signal.bind_pairs(%s)", (session,))
    write_batches(conn, session, NEXT_OPEN, SECONDS)
    assert kinds(conn, session) >= {"unconsumed_batch", "missing_signal", "state"}


def test_parity_unknown_session_is_an_error(conn: psycopg.Connection) -> None:
    with pytest.raises(psycopg.Error, match="does not exist") as caught:
        conn.execute("select * from backtest.parity(gen_random_uuid())")
    assert caught.value.sqlstate == "TT002"
