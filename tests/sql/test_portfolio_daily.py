"""P&L by day, rates, marks and equity, against exact fractions computed here."""

from __future__ import annotations

import csv
import gzip
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from factories import add_instrument, set_quote
from portfolio_books import KNOWN, Books, books, closes, record

FIRST = date(2014, 6, 2)


def deposit(own: Books, amount: Any, day: date, **changes: Any) -> None:
    """Book cash at noon of a day."""
    entry = {"kind": "deposit", "currency": "USD", "strategy": None, "symbol": None} | changes
    own.conn.execute(
        "select portfolio.book_cash(%s, 'main', %s, %s, %s, %s, gen_random_uuid()::text, %s, %s)",
        (
            *(own.session, entry["kind"], entry["currency"], amount),
            datetime(day.year, day.month, day.day, 12, tzinfo=UTC),
            *(entry["strategy"], entry["symbol"]),
        ),
    )


def rate(conn: psycopg.Connection, day: date, value: Any, base: str = "EUR") -> None:
    """Record the closing rate of a day in dollars."""
    fact = {"base_currency": base, "quote_currency": "USD", "date": day, "rate": value}
    record(conn, "fx_rates", fact, KNOWN)


def in_euros(conn: psycopg.Connection, symbol: str) -> None:
    """Make an instrument one whose prices are in euros."""
    add_instrument(conn, symbol)
    conn.execute("update ref.instruments set currency = 'EUR' where symbol = %s", (symbol,))


def equity(own: Books, *columns: str) -> list[tuple[Any, ...]]:
    """Return columns of the equity, by day."""
    return own.query(
        f"select {', '.join(columns)} from portfolio.equity where session_id = %s order by trading_date"
    )


@pytest.fixture
def example(conn: psycopg.Connection) -> Books:
    """Return the worked example of docs/portfolio.md."""
    own = books(conn)
    in_euros(conn, "SAP")
    days = [FIRST + timedelta(days=n) for n in range(3)]
    for day, close, in_dollars in zip(days, (51, 52, 54), ("1.30", "1.32", "1.28"), strict=True):
        closes(conn, "SAP", [(day, close)])
        rate(conn, day, in_dollars)
    deposit(own, 10000, days[0])
    own.fill(100, 50, 5, on=days[0], symbol="SAP")
    fact = {"symbol": "SAP", "ex_date": days[1], "amount": "0.50", "currency": "EUR"}
    record(conn, "dividends", fact, KNOWN)
    own.fill(-40, 53, 2, on=days[2], symbol="SAP")
    return own


# Day: total in euros, at the rate, fx of the shares, fx of the euros owed, equity in dollars.
WORKED = [
    ("95", "123.50", "0", "0", "10123.50"),
    ("150", "198.00", "102.00", "-100.10", "10323.40"),
    ("158", "202.24", "-208.00", "198.20", "10515.84"),
]


def test_worked_example_is_what_fractions_say():
    """Compute the figures of docs/portfolio.md from the prices and rates alone."""
    rates = [Fraction(130, 100), Fraction(132, 100), Fraction(128, 100)]
    values = [Fraction(100 * 51), Fraction(100 * 52), Fraction(60 * 54)]
    euros = [Fraction(-5005), Fraction(-4955), Fraction(-4955 + 40 * 53 - 2)]
    for n, row in enumerate(WORKED):
        value, euro, past = (values[n - 1], euros[n - 1], rates[n - 1]) if n else (0, 0, rates[0])
        total = values[n] - value + euros[n] - euro
        change = rates[n] - past
        figures = (
            total,
            total * rates[n],
            value * change,
            euro * change,
            10000 + (values[n] + euros[n]) * rates[n],
        )
        assert figures == tuple(Fraction(x) for x in row)


def test_worked_example_is_what_the_database_says(example):
    rows = example.query(
        """select p.total, p.price_pnl, p.fx, c.fx, e.equity
        from portfolio.pnl_daily_at(%(s)s) p
        join portfolio.pnl_daily_at(%(s)s) c using (trading_date)
        join portfolio.equity_at(%(s)s) e using (trading_date)
        where p.symbol = 'SAP' and c.instrument_id is null and c.currency = 'EUR'
        order by 1""".replace("%(s)s", f"'{example.session}'")
        + " limit nullif(100, length(%s::text))"
    )
    assert rows == [tuple(Decimal(x) for x in row) for row in WORKED]
    example.rebuild()
    example.conn.execute(
        "select portfolio.apply_corporate_actions(%s, '2014-06-04')", (example.session,)
    )
    assert example.broken() == []


def test_worked_example_in_the_docs_has_these_figures(docs_text):
    for row in WORKED:
        for figure in row:
            number = Decimal(figure)
            assert f"{number:,}" in docs_text or f"{number:,.2f}" in docs_text


@pytest.fixture
def docs_text() -> str:
    """Return docs/portfolio.md."""
    from pathlib import Path

    return (Path(__file__).resolve().parents[2] / "docs" / "portfolio.md").read_text()


_day = st.integers(0, 5)
_trades = st.lists(
    st.tuples(
        st.sampled_from(["IBM", "SAP"]),
        st.integers(-200, 200).filter(bool),
        st.decimals("1", "99", places=2),
        st.decimals("0", "3", places=2),
        _day,
    ),
    min_size=1,
    max_size=10,
)
_prices = st.lists(st.decimals("1", "99", places=2), min_size=6, max_size=6)
_rates = st.lists(st.decimals("0.5", "2", places=4), min_size=6, max_size=6)
_moves = st.lists(
    st.tuples(
        st.sampled_from(["deposit", "withdrawal", "transfer", "interest", "funding", "fee"]),
        st.sampled_from(["USD", "EUR"]),
        st.decimals("0.01", "5000", places=2),
        _day,
    ),
    max_size=5,
)


@given(trades=_trades, ibm=_prices, sap=_prices, rates=_rates, moves=_moves)
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_equity_any_trades_is_that_of_fractions_and_the_sum_of_the_days(
    conn, trades, ibm, sap, rates, moves
):
    conn.execute("delete from market._source_bars; delete from ref.fx_rates")
    own = books(conn)
    in_euros(conn, "SAP")
    days = [FIRST + timedelta(days=n) for n in range(6)]
    marks = {"IBM": ibm, "SAP": sap}
    for symbol, prices in marks.items():
        closes(conn, symbol, zip(days, prices, strict=True))
    for day, value in zip(days, rates, strict=True):
        rate(conn, day, value)
    capital = {"deposit", "withdrawal", "transfer"}
    for symbol, signed, price, fee, n in trades:
        own.fill(signed, price, fee, on=days[n], symbol=symbol)
    for kind, currency, amount, n in moves:
        signed = amount if kind in ("deposit", "interest") else -amount
        of = {"strategy": "manual", "symbol": "SAP"} if kind == "funding" else {}
        deposit(own, signed, days[n], kind=kind, currency=currency, **of)

    since = min([n for *_, n in trades] + [n for *_, n in moves])
    earned, peak = Fraction(0), Fraction(0)
    expected, flows = [], Fraction(0)
    for n in range(since, 6):
        held = dict.fromkeys(marks, Fraction(0))
        purse = {"USD": Fraction(0), "EUR": Fraction(0)}
        for symbol, signed, price, fee, day in trades:
            if day <= n:
                held[symbol] += signed
                purse["EUR" if symbol == "SAP" else "USD"] -= signed * Fraction(price) + Fraction(
                    fee
                )
        for kind, currency, amount, day in moves:
            signed = Fraction(amount) if kind in ("deposit", "interest") else -Fraction(amount)
            if day <= n:
                purse[currency] += signed
            if day == n and kind in capital:
                flows += signed * (Fraction(rates[n]) if currency == "EUR" else 1)
        dollars = Fraction(rates[n])
        worth = purse["USD"] + purse["EUR"] * dollars
        worth += held["IBM"] * Fraction(ibm[n]) + held["SAP"] * Fraction(sap[n]) * dollars
        earned = worth - flows
        peak = max(peak, earned)
        expected.append((days[n], worth, peak - earned))
    found = equity(own, "trading_date", "equity", "drawdown")
    assert [(d, Fraction(e), Fraction(w)) for d, e, w in found] == expected
    own.rebuild()
    assert own.broken() == []


def test_missing_mark_is_null_and_visible_and_the_day_after_recovers(conn):
    own = books(conn)
    days = [FIRST + timedelta(days=n) for n in range(3)]
    own.fill(100, 10, on=days[0])
    own.fill(10, 10, on=days[0], symbol="AIG")
    closes(conn, "IBM", [(days[0], 11), (days[2], 12)])
    closes(conn, "AIG", [(day, 10) for day in days])
    assert own.query(
        "select closing_mark, mark_source, unrealized_change, total from portfolio.pnl_daily "
        "where session_id = %s and symbol = 'IBM' order by trading_date"
    ) == [(11, "close", 100, 100), (None, None, None, None), (12, "close", None, None)]
    assert equity(own, "equity", "pnl", "drawdown") == [
        (100, 100, 0),
        (None, None, None),
        (200, None, 0),
    ]


def test_missing_rate_is_null_and_never_another_day_s(conn):
    own = books(conn)
    in_euros(conn, "SAP")
    days = [FIRST + timedelta(days=n) for n in range(2)]
    own.fill(100, 10, on=days[0], symbol="SAP")
    closes(conn, "SAP", [(days[0], 11), (days[1], 12)])
    rate(conn, days[0], "1.3")
    assert own.query(
        "select total, rate, price_pnl, fx, total_account from portfolio.pnl_daily "
        "where session_id = %s and symbol = 'SAP' order by trading_date"
    ) == [
        (100, Decimal("1.3"), 130, 0, 130),
        (100, None, None, None, None),
    ]
    assert equity(own, "equity") == [(130,), (None,)]


def test_rate_is_the_day_s_own_or_the_inverse_as_known(conn):
    rate(conn, FIRST, "1.25")
    before = conn.execute("select clock_timestamp()").fetchone()[0]
    record(
        conn,
        "fx_rates",
        {"base_currency": "EUR", "quote_currency": "USD", "date": FIRST, "rate": "1.6"},
    )
    ask = "select ref.fx_rate(%s, %s, %s, %s)"
    for base, quote, day, known, expected in [
        ("EUR", "USD", FIRST, "infinity", Decimal("1.6")),
        ("EUR", "USD", FIRST, before, Decimal("1.25")),
        ("USD", "EUR", FIRST, before, Decimal("0.8")),
        ("EUR", "USD", FIRST + timedelta(days=1), "infinity", None),
        ("EUR", "GBP", FIRST, "infinity", None),
        ("GBP", "GBP", FIRST, "infinity", 1),
    ]:
        assert conn.execute(ask, (base, quote, day, known)).fetchone() == (expected,)


def test_mark_of_a_day_without_a_close_is_the_session_s_last_quote(conn):
    own = books(conn)
    own.fill(100, 10, on=FIRST)
    set_quote(conn, own.session, bid=10.5, ask=11.5, ts=datetime(2014, 6, 2, 19, tzinfo=UTC))
    ask = "select closing_mark, mark_source, total from portfolio.pnl_daily where session_id = %s and instrument_id is not null"
    assert own.query(ask) == [(11, "quote", 100)]
    closes(conn, "IBM", [(FIRST, 12)])
    assert own.query(ask) == [(12, "close", 200)]


def test_mark_of_two_feeds_is_null_unless_the_session_names_one(conn):
    closes(conn, "IBM", [(FIRST, 12)], feed="one")
    closes(conn, "IBM", [(FIRST, 13)], feed="two")
    ask = "select closing_mark from portfolio.pnl_daily where session_id = %s and instrument_id is not null"
    for parameters, mark in (({}, None), ({"mark_feed": "two"}, 13)):
        own = books(conn, **parameters)
        own.fill(100, 10, on=FIRST)
        assert own.query(ask) == [(mark,)]


def test_day_of_a_split_gains_nothing_by_it(conn):
    own = books(conn)
    own.fill(100, 700, on=FIRST)
    record(
        conn,
        "splits",
        {"symbol": "IBM", "ex_date": FIRST + timedelta(days=1), "new_shares": 7},
        KNOWN,
    )
    closes(conn, "IBM", [(FIRST, 700), (FIRST + timedelta(days=1), "100.5")])
    assert own.query(
        "select opening_quantity, closing_quantity, unrealized_change from portfolio.pnl_daily "
        "where session_id = %s and instrument_id is not null order by trading_date"
    ) == [(0, 100, 0), (100, 700, 350)]


def test_day_of_a_late_bust_is_restated_and_reads_as_before_for_who_knew_no_better(conn):
    own = books(conn)
    days = [FIRST, FIRST + timedelta(days=1)]
    bad = own.fill(100, 10, on=days[0])
    own.fill(50, 10, on=days[0])
    closes(conn, "IBM", [(days[0], 12), (days[1], 13)])
    before = own.known
    own.bust(bad)
    ask = (
        "select total from portfolio.pnl_daily_at(p_known_at => %s, p_session_id => %s) "
        "where instrument_id is not null order by trading_date"
    )
    assert own.query(ask, before) == [(300,), (150,)]
    assert own.query(ask, "infinity") == [(100,), (50,)]


def test_high_water_mark_is_moved_by_deposits_not_made_by_them(conn):
    own = books(conn)
    days = [FIRST + timedelta(days=n) for n in range(4)]
    deposit(own, 1000, days[0])
    own.fill(10, 10, on=days[0])
    closes(conn, "IBM", zip(days, (20, 15, 15, 30), strict=True))
    deposit(own, 500, days[2])
    assert equity(own, "equity", "flows", "pnl", "high_water_mark", "drawdown") == [
        (1100, 1000, 100, 1100, 0),
        (1050, 0, -50, 1100, 50),
        (1550, 500, 0, 1600, 50),
        (1700, 0, 150, 1700, 0),
    ]


@pytest.mark.parametrize(
    ("statement", "sqlstate"),
    [
        ("select * from portfolio.pnl_daily_at(null)", "TT001"),
        ("select * from portfolio.equity_at(null)", "TT001"),
        ("select * from portfolio.pnl_daily_at(gen_random_uuid())", "TT002"),
        ("select * from portfolio.equity_at(gen_random_uuid())", "TT002"),
        ("select * from portfolio.check_invariants(gen_random_uuid())", "TT002"),
        ("select * from portfolio.positions_at(null)", "TT001"),
        ("select * from portfolio.positions_at('infinity', null)", "TT001"),
        ("select * from portfolio.positions_at('infinity', 'infinity', 'hifo')", "TT001"),
        ("select * from portfolio.lots('infinity', 'infinity', null)", "TT001"),
        (
            "select * from portfolio.closed_lots('infinity', 'infinity', 'fifo', gen_random_uuid())",
            "TT002",
        ),
        ("select * from portfolio.cash_entries_at(null)", "TT001"),
    ],
)
def test_report_that_cannot_be_asked_for_is_refused(conn, statement, sqlstate):
    with pytest.raises(psycopg.Error) as caught:
        conn.execute(statement)
    assert caught.value.sqlstate == sqlstate


def test_pnl_daily_from_after_to_is_refused(conn):
    own = books(conn)
    with pytest.raises(psycopg.Error) as caught:
        own.query(
            "select * from portfolio.pnl_daily_at(p_from => '2014-06-02', p_to => '2014-06-01', p_session_id => %s)"
        )
    assert caught.value.sqlstate == "TT001"


def test_equity_of_real_closes_is_that_of_fractions(conn, data_folder):
    """Hold five shares of the S&P 500 for 250 days, with a purchase or a sale every tenth."""
    names = ("AAPL", "JPM", "XOM", "KO", "GE")
    prices: dict[str, list[tuple[date, Decimal]]] = {name: [] for name in names}
    path = data_folder / "sp500_daily" / "all_stocks_5yr_20130208-20180207.csv.gz"
    with gzip.open(path, "rt") as file:
        for row in csv.DictReader(file):
            if row["Name"] in prices and len(prices[row["Name"]]) < 250:
                prices[row["Name"]].append((date.fromisoformat(row["date"]), Decimal(row["close"])))
    own = books(conn)
    held = dict.fromkeys(names, 0)
    cash = Fraction(0)
    expected = []
    for name in names:
        closes(conn, name, [(d, round(p, 4)) for d, p in prices[name]])
    for n, (day, _) in enumerate(prices["AAPL"]):
        if n % 10 == 0:
            name = names[n // 10 % 5]
            signed = 100 if n // 50 % 2 == 0 else -150
            price = prices[name][n][1]
            own.fill(signed, price, "0.35", on=day, symbol=name)
            held[name] += signed
            cash -= signed * Fraction(price) + Fraction(35, 100)
        worth = sum(held[x] * Fraction(round(prices[x][n][1], 4)) for x in names)
        expected.append((day, cash + worth))
    assert [(d, Fraction(e)) for d, e in equity(own, "trading_date", "equity")] == expected
    own.rebuild()
    assert own.broken() == []
