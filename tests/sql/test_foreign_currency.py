"""Limits, the risk monitor and value at risk of positions in another currency than the account's."""

from __future__ import annotations

import uuid
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import psycopg
import pytest
from psycopg.types.json import Jsonb
from scipy import stats

from daily_bars import add_bars
from factories import AS_OF, Venue, add_instrument, open_session, order, set_quote, submit
from portfolio_books import record
from sql.test_var_views import DAYS, WINDOW, closes, dates, hold, morning_after, prepare
from tsdb_trader.research import factors

D = Decimal
DAY = AS_OF.date()
Z = stats.norm.ppf(0.99)
EARLY = datetime(2013, 1, 1, tzinfo=AS_OF.tzinfo)

# The limit that one order of 100 SAP at 50.01 euros reaches exactly at 1.30 dollars a euro; marked at 50.00.
ONE_ORDER = {
    "order_value": "6501.30",
    "gross_exposure": "6500",
    "net_exposure": "6500",
    "sector_exposure": "6500",
    "name_exposure": "6500",
    "credit": "6501.30",
    "capital": "6500",
    "buying_power": "6501.30",
}


def rate(
    conn: psycopg.Connection,
    value: Any,
    *,
    on: date = DAY,
    base: str = "EUR",
    quote: str = "USD",
    known: datetime = EARLY,
) -> None:
    fact = {"base_currency": base, "quote_currency": quote, "date": on, "rate": value}
    record(conn, "fx_rates", fact, known)


@pytest.fixture
def session(conn: psycopg.Connection) -> uuid.UUID:
    """Return a session with quotes of a share in euros, and one in dollars."""
    session_id = open_session(conn)
    set_quote(conn, session_id)
    set_quote(conn, session_id, "SAP", 49.99, 50.01)
    conn.execute(
        "update ref.instruments set currency = 'EUR', sector = 'tech' where symbol = 'SAP'"
    )
    conn.execute("update ref.venues set fee_per_share = 0")
    return session_id


def limit(conn: psycopg.Connection, control: str, value: Any) -> None:
    conn.execute("select risk.set_limit(%s, '{}', %s, 'test')", (control, value))


def sap(session: uuid.UUID, **changes: Any) -> dict[str, Any]:
    return order(session, symbol="SAP", **({"limit_price": "50.01"} | changes))


def reasons(conn: psycopg.Connection, spec: dict[str, Any], as_of: datetime = AS_OF) -> list[str]:
    [(_, _, found)] = submit(conn, spec, as_of=as_of)
    return list(found)


def measures(conn: psycopg.Connection, session: uuid.UUID) -> dict[str, tuple[Any, Any]]:
    rows = conn.execute(
        "select measure, value, reason from risk.measure_session(%s, %s) where strategy is null",
        (session, AS_OF),
    ).fetchall()
    return {name: (value, reason) for name, value, reason in rows}


def watch(conn: psycopg.Connection, *names: str) -> None:
    for name in names:
        conn.execute("select risk.set_monitor_limit(%s, '{}', 1000000, null, 'test')", (name,))


@pytest.mark.parametrize("control", ONE_ORDER)
def test_limit_of_a_foreign_order_is_in_account_currency(conn, session, control):
    rate(conn, "1.30")
    limit(conn, control, ONE_ORDER[control])
    assert reasons(conn, sap(session)) == []
    limit(conn, control, D(ONE_ORDER[control]) * 2 - D("0.01"))
    [reason] = reasons(conn, sap(session)) if control != "order_value" else ["order_value"]
    assert reason.startswith(control)


@pytest.mark.parametrize("control", ONE_ORDER)
def test_limit_without_a_rate_denies_and_names_the_currencies(conn, session, control):
    limit(conn, control, 10**9)
    found = reasons(conn, sap(session))
    assert found[0] == "order_value: no rate between EUR and USD is known"
    assert f"{control}: no rate between EUR and USD is known" in found


def test_order_value_one_cent_over_is_denied(conn, session):
    rate(conn, "1.30")
    limit(conn, "order_value", "6501.29")
    assert reasons(conn, sap(session)) == ["order_value: 6501.3 is over the limit of 6501.29"]


def test_order_without_a_quote_is_not_blamed_on_a_rate(conn, session):
    conn.execute("delete from market.latest_quotes")
    market = order(session, order_type="market", limit_price=None)
    found = [r for r in reasons(conn, market) if r.startswith("order_value")]
    assert found == ["order_value: no usable quote"]


@pytest.mark.parametrize(
    ("days", "known", "usable"),
    [
        (0, EARLY, True),
        (4, EARLY, True),
        (5, EARLY, False),
        (-1, EARLY, False),
        (0, AS_OF, True),
        (0, AS_OF + timedelta(seconds=1), False),
    ],
)
def test_rate_is_used_for_four_days_from_when_it_is_known(conn, session, days, known, usable):
    rate(conn, "1.30", on=DAY - timedelta(days=days), known=known)
    found = reasons(conn, sap(session))
    assert (found == []) is usable
    if days == 5:
        assert found == ["order_value: the rate between EUR and USD is too old"]


def test_rate_age_is_a_setting(conn, session):
    rate(conn, "1.30", on=DAY - timedelta(days=5))
    conn.execute("select risk.set_var_settings('{\"max_rate_age\": \"5 days\"}', 'holidays')")
    assert reasons(conn, sap(session)) == []


def test_newest_rate_counts_and_the_inverse_of_the_opposite_one(conn, session):
    rate(conn, "1.30", on=DAY - timedelta(days=2))
    rate(conn, "0.8", on=DAY - timedelta(days=1), base="USD", quote="EUR")
    limit(conn, "order_value", "6251.24")
    assert reasons(conn, sap(session)) == ["order_value: 6251.25 is over the limit of 6251.24"]
    rate(conn, "1.31", on=DAY - timedelta(days=1))
    assert reasons(conn, sap(session)) == ["order_value: 6551.31 is over the limit of 6251.24"]


def buy(conn: psycopg.Connection, session: uuid.UUID) -> None:
    """Buy 100 SAP at 50 euros and 100 IBM at 100 dollars."""
    for spec, price in ((sap(session), "50"), (order(session), "100")):
        [(order_id, status, why)] = submit(conn, spec)
        assert status == "pending_new", why
        Venue(conn, order_id).fill(100, price)


def test_monitor_adds_up_in_account_currency(conn, session):
    rate(conn, "1.30", on=DAY - timedelta(days=1))
    buy(conn, session)
    watch(conn, "gross_exposure", "net_exposure", "concentration", "daily_loss", "drawdown")
    # The euros lose: 100 shares gained 100 euros, which are 120 dollars.
    set_quote(conn, session, "SAP", 50.99, 51.01)
    rate(conn, "1.20")
    found = {name: value for name, (value, _) in measures(conn, session).items()}
    assert found == {
        "gross_exposure": D(10000) + 5100 * D("1.2"),
        "net_exposure": D(10000) + 5100 * D("1.2"),
        "concentration": pytest.approx(D(10000) / (10000 + 5100 * D("1.2"))),
        "daily_loss": -120,
        "drawdown": 0,
        "mark_age": 0,
    }
    conn.execute("select risk.monitor_session(%s, %s)", (session, AS_OF))
    assert conn.execute(
        "select realized_pnl, unrealized_pnl, fees, gross_exposure, net_exposure from portfolio.pnl_history"
    ).fetchone() == (0, 120, 0, 16120, 16120)


def test_monitor_without_a_rate_is_unknown_and_says_which(conn, session):
    rate(conn, "1.30", on=DAY)
    buy(conn, session)
    watch(conn, "gross_exposure", "daily_loss")
    conn.execute("delete from ref.fx_rates")
    why = "no rate between EUR and USD is known"
    found = measures(conn, session)
    assert (found["gross_exposure"], found["daily_loss"]) == ((None, why), (None, why))
    conn.execute("select risk.monitor_session(%s, %s)", (session, AS_OF))
    assert conn.execute(
        "select distinct reason, (select detail->>'reason' from ops.alerts) from risk.breaches"
    ).fetchall() == [(why, why)]
    assert conn.execute(
        "select realized_pnl, unrealized_pnl, fees, gross_exposure from portfolio.pnl_history"
    ).fetchone() == (None, None, None, None)


@pytest.mark.parametrize("control", ["daily_loss", "drawdown"])
def test_loss_of_a_foreign_position_counts_in_account_currency(conn, session, control):
    rate(conn, "1.30")
    buy(conn, session)
    set_quote(conn, session, "SAP", 48.99, 49.01)
    limit(conn, control, 130)
    assert reasons(conn, order(session, quantity="1")) == []
    limit(conn, control, "129.99")
    assert reasons(conn, order(session, quantity="1")) == [
        f"{control}: 130 is over the limit of 129.99"
    ]
    conn.execute("delete from ref.fx_rates")
    assert f"{control}: no rate between EUR and USD is known" in reasons(conn, order(session))


def test_flat_foreign_position_needs_no_rate_for_exposure(conn, session):
    rate(conn, "1.30")
    buy(conn, session)
    [(order_id, _, _)] = submit(conn, sap(session, side="sell", limit_price="49.99"))
    Venue(conn, order_id).fill(100, "50")
    conn.execute("delete from ref.fx_rates")
    watch(conn, "gross_exposure", "daily_loss")
    found = measures(conn, session)
    assert found["gross_exposure"] == (10000, None)
    assert found["daily_loss"] == (None, "no rate between EUR and USD is known")


# --- Value at risk ---------------------------------------------------------------------------------------------

HELD = {"AAA": 300, "BBB": -200, "CCC": 50}


@pytest.fixture
def market(conn: psycopg.Connection) -> tuple[uuid.UUID, np.ndarray, np.ndarray, datetime]:
    """Return a session that holds BBB and CCC in euros; prices, rates, and a time after the last."""
    prices = closes()
    days = dates()
    for n, symbol in enumerate(("AAA", "BBB", "CCC", "DDD")):
        add_bars(conn, add_instrument(conn, symbol), dict(zip(days, prices[:, n], strict=True)))
    moves = np.random.default_rng(9).normal(0, 0.006, DAYS)
    dollars = np.round(1.25 * np.exp(np.cumsum(moves)), 4)
    for day, value in zip(days, dollars, strict=True):
        rate(conn, value, on=day, known=morning_after(day) - timedelta(hours=20))
    as_of = morning_after(days[-1])
    session = open_session(conn)
    for symbol, quantity in HELD.items():
        set_quote(conn, session, symbol, 99.0, 101.0, ts=as_of)
        hold(conn, session, symbol, quantity)
    conn.execute("update ref.instruments set currency = 'EUR' where symbol in ('BBB', 'CCC')")
    return session, prices, dollars, as_of


def in_dollars(prices: np.ndarray, dollars: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return daily returns in dollars, and values of the positions in dollars."""
    local = (prices[1:] / prices[:-1] - 1)[-WINDOW:]
    change = (dollars[1:] / dollars[:-1] - 1)[-WINDOW:, None]
    foreign = np.array([False, True, True, False])
    values = np.array([30_000, -20_000 * dollars[-1], 5_000 * dollars[-1], 0])
    return np.where(foreign, (1 + local) * (1 + change) - 1, local), values


def test_var_of_foreign_positions_has_their_currency_risk(conn, market):
    session, prices, dollars, as_of = market
    prepare(conn, as_of)
    returns, values = in_dollars(prices, dollars)
    pnl = returns @ values
    deviation = np.sqrt((pnl**2).mean())
    found = dict(
        conn.execute(
            "select method, var from risk.var_at(%s, %s) where strategy_id is null",
            (session, as_of),
        ).fetchall()
    )
    assert found["historical"] == pytest.approx(-np.quantile(pnl, 1 - 0.99), rel=1e-6)
    assert found["parametric"] == pytest.approx(Z * deviation, rel=1e-6)
    assert found["monte_carlo"] == pytest.approx(Z * deviation, rel=0.08)
    # Without the currency's own moves it would be another figure.
    local = (prices[1:] / prices[:-1] - 1)[-WINDOW:] @ values
    assert abs(np.sqrt((local**2).mean()) / deviation - 1) > 0.01


def test_components_of_foreign_positions_add_up_to_the_whole(conn, market):
    session, prices, dollars, as_of = market
    prepare(conn, as_of)
    returns, values = in_dollars(prices, dollars)
    covariance = returns.T @ returns / WINDOW
    deviation = np.sqrt(values @ covariance @ values)
    rows = conn.execute(
        "select component from risk.var_components_at(%s, %s) where strategy_id is null order by symbol",
        (session, as_of),
    ).fetchall()
    expected = Z * values * (covariance @ values) / deviation
    assert [row[0] for row in rows] == pytest.approx(expected[:3].tolist(), rel=1e-5)


@pytest.mark.parametrize("symbol", ["AAA", "BBB"])
def test_increment_of_a_foreign_position_is_the_difference_of_two_revaluations(
    conn, market, symbol
):
    session, prices, dollars, as_of = market
    prepare(conn, as_of, factors=4)
    returns, values = in_dollars(prices, dollars)
    more = values + 10_000 * np.array([symbol == "AAA", symbol == "BBB", False, False])
    expected = Z * (
        np.sqrt(((returns @ more) ** 2).mean()) - np.sqrt(((returns @ values) ** 2).mean())
    )
    [(found,)] = conn.execute(
        "select risk._var_increment(%s, 'main', %s, 10000, %s)",
        (session, add_instrument(conn, symbol), as_of),
    )
    assert found == pytest.approx(expected, rel=1e-4)


def test_accounts_in_two_currencies_have_a_history_each(conn, market):
    session, prices, dollars, as_of = market
    conn.execute("insert into ref.accounts (account, currency) values ('euro', 'EUR')")
    conn.execute(
        "insert into portfolio._positions (session_id, account, strategy_id, instrument_id, quantity) "
        "select session_id, 'euro', strategy_id, instrument_id, quantity from portfolio._positions"
    )
    chosen = Jsonb({"window_days": WINDOW})
    conn.execute("select risk.set_var_settings(%s, 'test')", (chosen,))
    factors.refresh(conn)
    assert len(factors.prepare(conn, as_of)) == 2
    # Counted in euros it is AAA that is foreign.
    local = (prices[1:] / prices[:-1] - 1)[-WINDOW:]
    change = (dollars[:-1] / dollars[1:] - 1)[-WINDOW:]
    local[:, 0] = (1 + local[:, 0]) * (1 + change) - 1
    pnl = local @ np.array([30_000 / dollars[-1], -20_000, 5_000, 0])
    returns, values = in_dollars(prices, dollars)
    expected = {
        "euro": Z * np.sqrt((pnl**2).mean()),
        "main": Z * np.sqrt(((returns @ values) ** 2).mean()),
    }
    found = conn.execute(
        "select account, var from risk.var_at(%s, %s) where strategy_id is null and method = 'parametric'",
        (session, as_of),
    ).fetchall()
    assert dict(found) == pytest.approx(expected, rel=1e-6)


def test_history_with_a_day_without_a_rate_is_unusable_and_says_so(conn, market):
    session, _, _, as_of = market
    conn.execute(
        "delete from ref.fx_rates where date between %s and %s", (dates()[60], dates()[68])
    )
    prepare(conn, as_of)
    rows = conn.execute("select var, reason from risk.var_at(%s, %s)", (session, as_of)).fetchall()
    assert {row[0] for row in rows} == {None}
    assert all("BBB: no rate between EUR and USD on some of the days" in row[1] for row in rows)


def test_corrected_rate_makes_the_history_anew(conn, market):
    _, _, _, as_of = market
    prepare(conn, as_of)
    [first] = factors.prepare(conn, as_of)
    assert factors.prepare(conn, as_of) == [first], "nothing changed"
    rate(conn, "1.5", on=dates()[-2], known=as_of - timedelta(hours=1))
    assert factors.prepare(conn, as_of) != [first]


def test_monitor_measures_var_of_a_strategy(conn, market):
    session, prices, dollars, as_of = market
    conn.execute("insert into signal.strategies (strategy, description) values ('other', 'x')")
    conn.execute(
        "update portfolio._positions p set strategy_id = s.strategy_id "
        "from signal.strategies s, ref.instruments i "
        "where s.strategy = 'other' and i.symbol = 'AAA' and i.instrument_id = p.instrument_id"
    )
    prepare(conn, as_of)
    returns, values = in_dollars(prices, dollars)
    expected = {
        name: Z * np.sqrt(((returns @ np.array(held)) ** 2).mean())
        for name, held in {
            None: values,
            "other": [values[0], 0, 0, 0],
            "pairs": [0, *values[1:]],
        }.items()
    }
    for scope in ({}, {"strategy": "other"}, {"strategy": "pairs"}):
        conn.execute(
            "select risk.set_monitor_limit('var', %s, %s, null, 'test')", (Jsonb(scope), 10)
        )
    found = conn.execute(
        "select strategy, value::float8, level from risk.measure_session(%s, %s) where measure = 'var'",
        (session, as_of),
    ).fetchall()
    assert {name: value for name, value, _ in found} == pytest.approx(expected, rel=1e-6)
    assert {level for *_, level in found} == {"soft"}
    conn.execute("select risk.monitor_session(%s, %s)", (session, as_of))
    breached = conn.execute("select scope->>'strategy', reason from risk.breaches").fetchall()
    assert {(None, None), ("other", None), ("pairs", None)} <= set(breached)


def test_var_of_a_strategy_without_history_is_unknown_and_says_why(conn, session):
    rate(conn, "1.30")
    buy(conn, session)
    conn.execute(
        "select risk.set_monitor_limit('var', '{\"strategy\": \"manual\"}', 10, null, 'test')"
    )
    assert conn.execute(
        "select strategy, value, level, reason from risk.measure_session(%s, %s) where measure = 'var'",
        (session, AS_OF),
    ).fetchall() == [("manual", None, "unknown", "no history of the last days is prepared")]


def test_hypothetical_outcome_of_a_foreign_position_is_in_account_currency(conn, market):
    session, prices, dollars, _ = market
    days = dates()
    prepare(conn, morning_after(days[107]), window_days=50)
    now = morning_after(days[107])
    assert now.date() == days[108]
    for symbol in HELD:
        set_quote(conn, session, symbol, 99.0, 101.0, ts=now)
    conn.execute("select risk.record_var(%s, %s)", (session, now))
    [(found,)] = conn.execute(
        "select pnl from risk.var_outcomes where basis = 'hypothetical' and method = 'parametric' "
        "and strategy_id is null"
    )
    moves = prices[108] / prices[107] - 1
    moves[1:3] = (1 + moves[1:3]) * (dollars[108] / dollars[107]) - 1
    values = np.array([30_000, -20_000 * dollars[107], 5_000 * dollars[107], 0])
    assert found == pytest.approx(float(moves @ values), rel=1e-9)
