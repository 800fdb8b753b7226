"""The risk monitor: measures, limits, breaches, alerts and trading states after the trade."""

from __future__ import annotations

import threading
import uuid
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import psycopg
import pytest
from psycopg.types.json import Jsonb

from factories import AS_OF, Venue, open_session, order, set_quote, submit

D = Decimal


@pytest.fixture
def session(conn: psycopg.Connection) -> uuid.UUID:
    session_id = open_session(conn)
    set_quote(conn, session_id)
    return session_id


def buy(conn: psycopg.Connection, session: uuid.UUID, quantity: int = 100, **changes: Any) -> None:
    """Fill an order at 100.00 without a fee; a negative quantity sells short."""
    side = {} if quantity > 0 else {"side": "sell_short", "limit_price": "99.99"}
    [(order_id, status, reasons)] = submit(
        conn, order(session, quantity=str(abs(quantity)), **(side | changes))
    )
    assert status == "pending_new", reasons
    conn.execute("update ref.venues set fee_per_share = 0")
    assert Venue(conn, order_id).fill(abs(quantity))[1] == "filled"


def at(seconds: float) -> datetime:
    return AS_OF + timedelta(seconds=seconds)


def mark(
    conn: psycopg.Connection,
    session: uuid.UUID,
    mid: float,
    seconds: float = 0,
    symbol: str = "IBM",
) -> int:
    """Quote, monitor, and return the number of new breaches."""
    set_quote(conn, session, symbol, mid - 0.01, mid + 0.01, ts=at(seconds))
    return monitor(conn, session, seconds)


def monitor(conn: psycopg.Connection, session: uuid.UUID, seconds: float) -> int:
    row = conn.execute("select risk.monitor_session(%s, %s)", (session, at(seconds))).fetchone()
    assert row is not None
    return int(row[0])


def limit(
    conn: psycopg.Connection, measure: str, soft: Any, hard: Any = None, **scope: Any
) -> int | None:
    row = conn.execute(
        "select risk.set_monitor_limit(%s, %s, %s, %s, 'test')",
        (measure, Jsonb({k: str(v) for k, v in scope.items()}), soft, hard),
    ).fetchone()
    assert row is not None
    return row[0]


def measures(
    conn: psycopg.Connection, session: uuid.UUID, seconds: float = 0, strategy: str | None = None
) -> dict[str, Decimal | None]:
    rows = conn.execute(
        "select measure, value from risk.measure_session(%s, %s) "
        "where strategy is not distinct from %s",
        (session, at(seconds), strategy),
    ).fetchall()
    return dict(rows)


def breaches(conn: psycopg.Connection) -> list[tuple[Any, ...]]:
    return conn.execute(
        "select measure, level, strategy_id <> 0, until is null from risk.breaches "
        "order by breach_id"
    ).fetchall()


def alerts(conn: psycopg.Connection) -> list[tuple[str, str, bool]]:
    return conn.execute(
        "select kind, severity, resolved_at is null from ops.alerts order by alert_id"
    ).fetchall()


def scope(session: uuid.UUID, **more: str) -> dict[str, str]:
    return {"session_id": str(session), "account": "main", **more}


def state(conn: psycopg.Connection, scope: dict[str, str]) -> str:
    row = conn.execute("select risk.state_of(%s)", (Jsonb(scope),)).fetchone()
    assert row is not None
    return str(row[0])


@pytest.mark.parametrize(
    ("measure", "at_limit", "over", "value"),
    [
        ("daily_loss", 99.0, 98.99, 100),
        ("drawdown", 99.0, 98.99, 100),
        ("gross_exposure", 101.0, 101.01, 10100),
        ("net_exposure", 101.0, 101.01, 10100),
    ],
)
def test_monitor_at_the_limit_is_within_and_one_over_is_a_breach(
    conn, session, measure, at_limit, over, value
):
    buy(conn, session)
    limit(conn, measure, None, value)
    assert mark(conn, session, at_limit, 1) == 0
    assert measures(conn, session, 1)[measure] == value
    assert mark(conn, session, over, 2) == 1
    assert breaches(conn) == [(measure, "hard", False, True)]


def test_monitor_soft_limit_reduces_and_hard_limit_halts(conn, session):
    buy(conn, session)
    limit(conn, "daily_loss", 100, 200)
    mark(conn, session, 98.99, 1)
    assert state(conn, scope(session)) == "reducing"
    assert alerts(conn) == [("risk_breach", "warning", True)]
    mark(conn, session, 97.99, 2)
    assert state(conn, scope(session)) == "halted"
    assert alerts(conn)[1:] == [("risk_breach", "critical", True)]
    assert state(conn, {"session_id": str(open_session(conn, "other"))}) == "active"
    [(_, status, reasons)] = submit(conn, order(session, limit_price="98"), as_of=at(2))
    assert status == "denied"
    assert any("halt" in reason for reason in reasons)


def test_monitor_state_is_not_lowered_when_the_breach_ends(conn, session):
    buy(conn, session)
    limit(conn, "daily_loss", 100)
    mark(conn, session, 98.99, 1)
    mark(conn, session, 100, 2)
    assert breaches(conn) == [("daily_loss", "soft", False, True)], "it may come back at once"
    mark(conn, session, 100, 61)
    assert breaches(conn) == [("daily_loss", "soft", False, False)]
    row = conn.execute(
        "select value, worst_value, limit_value, since, until, resolution from risk.breaches"
    ).fetchone()
    assert row == (D(101), D(101), D(100), at(1), at(1), "not over its limit for a minute")
    assert alerts(conn) == [("risk_breach", "warning", False)]
    assert state(conn, scope(session)) == "reducing"


def test_monitor_raises_a_state_again_that_was_lowered_within_a_breach(conn, session):
    buy(conn, session)
    limit(conn, "daily_loss", 100)
    mark(conn, session, 98.99, 1)
    conn.execute("update risk.halts set resumed_at = clock_timestamp(), resumed_by = 'ann'")
    mark(conn, session, 98.9, 2)
    assert state(conn, scope(session)) == "reducing"
    assert len(breaches(conn)) == len(alerts(conn)) == 1


def test_monitor_strategy_limit_sets_the_strategy_alone(conn, session):
    buy(conn, session)
    limit(conn, "daily_loss", 100, strategy="manual")
    mark(conn, session, 98.99, 1)
    assert breaches(conn) == [("daily_loss", "soft", True, True)]
    assert state(conn, scope(session, strategy="manual")) == "reducing"
    assert state(conn, scope(session)) == "active"


def test_monitor_tightest_limit_that_matches_binds(conn, session):
    other = open_session(conn, "other")
    buy(conn, session)
    limit(conn, "daily_loss", 100, account="main")
    limit(conn, "daily_loss", 50, session_id=other)
    limit(conn, "daily_loss", 75, 1000)
    mark(conn, session, 99.2, 1)
    rows = conn.execute("select limit_value, level from risk.breaches").fetchall()
    assert rows == [(D(75), "soft")]


def test_monitor_same_time_twice_changes_nothing(conn, session):
    buy(conn, session)
    limit(conn, "daily_loss", 100)
    assert mark(conn, session, 98.99, 1) == 1
    assert mark(conn, session, 98.0, 1) == 0
    assert monitor(conn, session, 0.5) == 0
    assert len(breaches(conn)) == len(alerts(conn)) == 1
    assert conn.execute("select count(*) from portfolio.pnl_history").fetchone() == (1,)


def test_two_monitors_at_once_record_a_breach_once(conn, connect_as, session):
    buy(conn, session)
    limit(conn, "daily_loss", 100)
    set_quote(conn, session, "IBM", 98.98, 99.0, ts=at(1))
    found: list[int] = []
    start = threading.Barrier(4)

    def run() -> None:
        connection = connect_as("tsdb_worker")
        start.wait()
        for second in range(1, 11):
            found.append(monitor(connection, session, second))

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(found) == [0] * 39 + [1]
    assert len(breaches(conn)) == len(alerts(conn)) == 1
    assert conn.execute("select count(*) from portfolio.pnl_history").fetchone() == (10,)


def test_daily_loss_counts_from_the_start_of_the_trading_day(conn):
    conn.execute(
        "insert into ref.calendars (exchange, time_zone, first_date, last_date, library) "
        "values ('XNYS', 'America/New_York', '2013-10-08', '2013-10-09', 'test')"
    )
    conn.execute(
        """insert into ref.calendar_days (exchange, date, opens_at, closes_at, early_close)
        select 'XNYS', d, d + interval '13:30', d + interval '20:00', false
        from (values (timestamptz '2013-10-08Z'), ('2013-10-09Z')) t (d)"""
    )
    session = open_session(conn, calendar="XNYS")
    set_quote(conn, session)
    buy(conn, session)
    limit(conn, "daily_loss", 100000)
    limit(conn, "drawdown", 100000)
    mark(conn, session, 99, 1)
    assert measures(conn, session, 1)["daily_loss"] == 100
    # The close of 8 October is the end of that day, not midnight.
    closes = (datetime(2013, 10, 8, 20, tzinfo=UTC) - AS_OF).total_seconds()
    mark(conn, session, 98.5, closes - 1)
    mark(conn, session, 98, closes)
    found = measures(conn, session, closes)
    assert (found["daily_loss"], found["drawdown"]) == (50, 200)
    # Beyond the calendar nobody knows what day it is.
    mark(conn, session, 97, closes + 86400)
    found = measures(conn, session, closes + 86400)
    assert (found["daily_loss"], found["drawdown"]) == (None, 300)


def test_daily_loss_without_a_calendar_counts_from_midnight_utc(conn, session):
    buy(conn, session)
    limit(conn, "daily_loss", 100000)
    mark(conn, session, 99, 1)
    midnight = (datetime(2013, 10, 9, tzinfo=UTC) - AS_OF).total_seconds()
    mark(conn, session, 98, midnight - 1)
    mark(conn, session, 96, midnight)
    assert measures(conn, session, midnight)["daily_loss"] == 200


def test_daily_loss_of_a_session_marked_before_there_was_a_monitor_starts_at_its_last_mark(
    conn, session
):
    buy(conn, session)
    limit(conn, "daily_loss", 100000)
    set_quote(conn, session, "IBM", 98.99, 99.01)
    conn.execute("select portfolio.mark_session(%s, %s)", (session, at(0)))
    assert mark(conn, session, 97, 86400) == 0
    assert measures(conn, session, 86400)["daily_loss"] == 200


def test_daily_loss_includes_fees_and_realized(conn, session):
    conn.execute("update ref.venues set fee_per_share = 0.01")
    [(order_id, _, _)] = submit(conn, order(session))
    Venue(conn, order_id).fill(100)
    [(order_id, _, _)] = submit(conn, order(session, side="sell", limit_price="99", quantity="40"))
    Venue(conn, order_id).fill(40, "99")
    limit(conn, "daily_loss", 100000)
    fees = conn.execute("select sum(fees) from portfolio._positions").fetchone()
    assert fees is not None
    assert fees[0] > 0
    assert measures(conn, session)["daily_loss"] == 40 + fees[0]


def test_drawdown_follows_the_running_maximum_of_a_random_path(conn, session):
    """Against numpy.maximum.accumulate, and across monitors that start anew at every step."""
    buy(conn, session)
    limit(conn, "drawdown", 10**9)
    steps = np.random.default_rng(7).integers(-50, 51, 60) / 100
    path = np.round(100 + np.cumsum(steps), 2)
    pnl = 100 * (path - 100)
    expected = np.maximum.accumulate(np.maximum(pnl, 0)) - pnl
    seen = []
    for second, mid in enumerate(path, start=1):
        mark(conn, session, float(mid), second)
        seen.append(float(measures(conn, session, second)["drawdown"] or 0))
    np.testing.assert_allclose(seen, expected, atol=1e-9)


def test_concentration_is_the_share_of_gross_netted_over_strategies(conn, session):
    for symbol, sector in (("IBM", "tech"), ("MSFT", "tech"), ("XOM", "oil"), ("ZZZ", None)):
        set_quote(conn, session, symbol)
        conn.execute("update ref.instruments set sector = %s where symbol = %s", (sector, symbol))
    conn.execute(
        "insert into signal.strategies (strategy, description) values ('other', 'another')"
    )
    buy(conn, session, 100)
    buy(conn, session, -60, strategy="other")
    buy(conn, session, 30, symbol="MSFT")
    buy(conn, session, -20, symbol="XOM")
    buy(conn, session, 10, symbol="ZZZ")
    for name in ("gross_exposure", "net_exposure", "concentration", "sector_concentration"):
        limit(conn, name, 10**6)
        limit(conn, name, 10**6, strategy="manual")
    account = measures(conn, session)
    assert account == {
        "gross_exposure": 10000,
        "net_exposure": 6000,
        "concentration": D("0.4"),
        "sector_concentration": D("0.7"),
        "mark_age": 0,
    }
    manual = measures(conn, session, strategy="manual")
    assert manual["gross_exposure"] == 16000
    assert manual["net_exposure"] == 12000
    assert manual["concentration"] == D("0.625")
    assert manual["sector_concentration"] == D(13) / D(16)


def test_stale_mark_of_a_held_position_alerts_and_then_reduces(conn, session):
    buy(conn, session)
    limit(conn, "mark_age", 10, 20)
    mark(conn, session, 100, 0)
    assert monitor(conn, session, 10) == 0
    assert monitor(conn, session, 11) == 1
    assert alerts(conn) == [("risk_breach", "warning", True)]
    assert state(conn, scope(session)) == "active"
    assert monitor(conn, session, 21) == 1
    assert state(conn, scope(session)) == "reducing"


def test_stale_mark_of_what_is_not_held_is_none(conn, session):
    set_quote(conn, session, "MSFT")
    buy(conn, session, 100, symbol="MSFT")
    [(order_id, _, _)] = submit(conn, order(session, side="sell", symbol="MSFT"))
    Venue(conn, order_id).fill(100)
    limit(conn, "mark_age", 10, 20)
    assert monitor(conn, session, 3600) == 0


def test_night_does_not_make_a_mark_stale(conn, session):
    buy(conn, session)
    limit(conn, "mark_age", 10, 20)
    mark(conn, session, 100, 0)
    assert monitor(conn, session, 86400) == 0
    assert monitor(conn, session, 86411) == 1


def test_missing_mark_is_unknown_and_reduces_after_the_configured_time(conn, session):
    buy(conn, session)
    limit(conn, "mark_age", 10, 20)
    limit(conn, "daily_loss", 100)
    limit(conn, "gross_exposure", 10**6)
    conn.execute("delete from market.latest_quotes")
    assert monitor(conn, session, 1) == 3
    assert alerts(conn) == [("risk_unknown", "critical", True)]
    assert state(conn, scope(session)) == "active"
    monitor(conn, session, 20)
    assert state(conn, scope(session)) == "active"
    monitor(conn, session, 21)
    assert state(conn, scope(session)) == "reducing"
    mark(conn, session, 100, 30)
    mark(conn, session, 100, 81)
    assert {row[3] for row in breaches(conn)} == {False}
    assert alerts(conn) == [("risk_unknown", "critical", False)]


def test_measure_that_nobody_computes_reduces_at_once_without_a_configured_time(conn, session):
    buy(conn, session)
    limit(conn, "mark_age", None)
    limit(conn, "var", 1000)
    mark(conn, session, 100, 1)
    assert breaches(conn) == [("var", "unknown", False, True)]
    assert state(conn, scope(session)) == "reducing"


def test_breach_does_not_end_while_its_measure_is_unknown(conn, session):
    buy(conn, session)
    limit(conn, "daily_loss", 100)
    mark(conn, session, 98.99, 1)
    conn.execute("delete from market.latest_quotes")
    monitor(conn, session, 100)
    assert ("daily_loss", "soft", False, True) in breaches(conn)


def test_position_in_another_currency_than_the_accounts_is_unknown(conn, session):
    buy(conn, session)
    conn.execute("update ref.instruments set currency = 'EUR' where symbol = 'IBM'")
    limit(conn, "gross_exposure", 10**6)
    assert measures(conn, session) == {"gross_exposure": None, "mark_age": None}


def test_breaches_of_a_session_that_is_over_end(conn, session):
    buy(conn, session)
    limit(conn, "daily_loss", 100)
    mark(conn, session, 98.99, 1)
    conn.execute("select ops.close_session(%s)", (session,))
    assert conn.execute("select risk.watch_sessions()").fetchone() == (1,)
    assert breaches(conn) == [("daily_loss", "soft", False, False)]
    assert alerts(conn) == [("risk_breach", "warning", False)]
    assert monitor(conn, session, 5) == 0


def test_limit_is_superseded_and_kept(conn):
    first = limit(conn, "daily_loss", 100, 200, account="main")
    second = limit(conn, "daily_loss", None, 300, account="main")
    assert limit(conn, "daily_loss", None, None, account="main") is None
    rows = conn.execute(
        "select monitor_limit_id, soft, hard, reason, set_by, superseded_at < 'infinity' "
        "from risk.monitor_limits where measure = 'daily_loss' order by monitor_limit_id"
    ).fetchall()
    assert rows == [
        (first, 100, 200, "test", "tsdb_trader", True),
        (second, None, 300, "test", "tsdb_trader", True),
    ]


@pytest.mark.parametrize(
    ("measure", "spec", "soft", "hard", "reason", "sqlstate"),
    [
        ("daily_loss", {}, -1, None, "why", "TT001"),
        ("daily_loss", {}, "NaN", None, "why", "TT001"),
        ("daily_loss", {}, None, "infinity", "why", "TT001"),
        ("daily_loss", {}, 2, 1, "why", "TT001"),
        ("daily_loss", {}, 1, 2, "", "TT001"),
        ("daily_loss", {"symbol": "IBM"}, 1, 2, "why", "TT001"),
        ("daily_loss", {"colour": "red"}, 1, 2, "why", "TT001"),
        ("daily_loss", [], 1, 2, "why", "TT001"),
        ("daily_loss", {"account": "nobody"}, 1, 2, "why", "TT002"),
        ("daily_loss", {"strategy": "nobody"}, 1, 2, "why", "TT002"),
        ("daily_loss", {"session_id": str(uuid.UUID(int=5))}, 1, 2, "why", "TT002"),
        ("weekly_loss", {}, 1, 2, "why", "TT002"),
        (None, {}, 1, 2, "why", "TT002"),
    ],
)
def test_limit_of_no_use_is_refused(conn, measure, spec, soft, hard, reason, sqlstate):
    with pytest.raises(psycopg.Error) as caught:
        conn.execute(
            "select risk.set_monitor_limit(%s, %s, %s, %s, %s)",
            (measure, Jsonb(spec), soft, hard, reason),
        )
    assert caught.value.sqlstate == sqlstate


@pytest.mark.parametrize(
    ("target", "as_of", "sqlstate"),
    [(None, None, "TT001"), (uuid.UUID(int=5), AS_OF, "TT002"), (uuid.UUID(int=0), None, "TT001")],
)
def test_monitor_without_time_or_session_is_refused(conn, target, as_of, sqlstate):
    with pytest.raises(psycopg.Error) as caught:
        conn.execute("select risk.monitor_session(%s, %s)", (target, as_of))
    assert caught.value.sqlstate == sqlstate


@pytest.mark.parametrize("role", ["tsdb_quant", "tsdb_readonly", "tsdb_operator"])
def test_monitor_is_for_workers_and_limits_for_operators(connect_as, role):
    reader = connect_as(role)
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        monitor(reader, uuid.UUID(int=0), 0)
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        limit(connect_as("tsdb_worker"), "daily_loss", 1)
    measures(reader, uuid.UUID(int=0))
