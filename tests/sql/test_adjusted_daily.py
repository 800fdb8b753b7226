"""Daily series adjusted for corporate actions, as of any time of knowledge."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg.types.json import Jsonb

from daily_bars import add_bars
from factories import add_instrument


def record(
    conn: psycopg.Connection, kind: str, known_at: str | None = None, /, **fact: Any
) -> None:
    conn.execute("select ref.record(%s, %s, %s)", (kind, Jsonb(fact), known_at))


def closes(conn: psycopg.Connection, instrument_id: int, **options: Any) -> dict[str, float]:
    """Return the adjusted closes by date, rounded to four decimals."""
    given = {"p_from": "2000-01-01", "p_to": "2030-01-01"} | options
    named = ", ".join(f"{name} => %({name})s" for name in given)
    rows = conn.execute(
        f"select date::text, close from market.adjusted_daily(%(id)s, {named})",
        {"id": instrument_id} | given,
    )
    return {day: round(close, 4) for day, close in rows}


YAHOO = {
    # As in Yahoo's explanation of its adjusted close: date, close and adjusted close.
    "2022-02-16": ("46.99", 23.42),
    "2022-02-17": ("48.30", 24.07),
    "2022-02-18": ("24.96", 24.88),
    "2022-02-19": ("24.91", 24.83),
    "2022-02-20": ("24.95", 24.87),
    "2022-02-21": ("24.53", 24.53),
    "2022-02-22": ("24.54", 24.54),
}


def test_adjusted_daily_reproduces_yahoos_example(conn):
    stock = add_instrument(conn, "IBM")
    add_bars(conn, stock, {day: close for day, (close, _) in YAHOO.items()})
    record(conn, "splits", symbol="IBM", ex_date="2022-02-18", new_shares=2)
    record(conn, "dividends", symbol="IBM", ex_date="2022-02-21", amount="0.08")
    found = closes(conn, stock)
    assert {day: round(close, 2) for day, close in found.items()} == {
        day: adjusted for day, (_, adjusted) in YAHOO.items()
    }
    # Volume knows splits only.
    volumes = conn.execute(
        """select volume, split_factor, unadjusted_close
           from market.adjusted_daily(%s, '2022-02-17', '2022-02-18')""",
        (stock,),
    ).fetchall()
    assert volumes == [(2000, Decimal("0.5"), 48.3), (1000, 1, 24.96)]


WEEK = {"2014-06-05": 647.35, "2014-06-06": 645.57, "2014-06-09": 93.70, "2014-06-10": 94.25}


def test_adjusted_daily_knows_an_action_only_once_it_was_known(conn):
    apple = add_instrument(conn, "AAPL")
    add_bars(conn, apple, WEEK)
    record(conn, "splits", "2014-04-23", symbol="AAPL", ex_date="2014-06-09", new_shares=7)
    adjusted = {"2014-06-05": 92.4786, "2014-06-06": 92.2243, "2014-06-09": 93.7}
    window = {"p_to": "2014-06-09"}
    assert closes(conn, apple, **window) == adjusted
    assert closes(conn, apple, p_known_at="2014-04-23", **window) == adjusted
    raw = {day: close for day, close in WEEK.items() if day <= "2014-06-09"}
    assert closes(conn, apple, p_known_at="2014-04-22 23:59Z", **window) == raw
    # Announced, but still to come: prices of the days before are what they were.
    before = {"p_to": "2014-06-06"}
    assert closes(conn, apple, p_known_at="2014-06-07", **before) == {
        day: WEEK[day] for day in ("2014-06-05", "2014-06-06")
    }
    assert closes(conn, apple, p_known_at="2014-06-09", **before)["2014-06-06"] == 92.2243


def test_adjusted_daily_split_announced_for_after_the_last_bar_changes_nothing(conn):
    apple = add_instrument(conn, "AAPL")
    add_bars(conn, apple, WEEK)
    record(conn, "splits", "2014-06-10", symbol="AAPL", ex_date="2014-08-01", new_shares=2)
    assert closes(conn, apple) == WEEK


def test_adjusted_daily_correction_leaves_the_series_as_known_before(conn):
    apple = add_instrument(conn, "AAPL")
    add_bars(conn, apple, WEEK)
    fact = {"symbol": "AAPL", "ex_date": "2014-06-09"}
    record(conn, "splits", "2014-04-23", **fact, new_shares=70)
    wrong = closes(conn, apple)
    record(conn, "splits", "2014-07-01", **fact, new_shares=7)
    assert closes(conn, apple, p_known_at="2014-06-30") == wrong
    assert closes(conn, apple)["2014-06-06"] == 92.2243
    record(conn, "splits", **fact, withdrawn=True)
    assert closes(conn, apple) == WEEK
    assert closes(conn, apple, p_known_at="2014-07-01")["2014-06-06"] == 92.2243


def test_adjusted_daily_kinds_of_adjustment(conn):
    parent, child = add_instrument(conn, "OLD"), add_instrument(conn, "NEW")
    add_bars(conn, parent, {"2020-01-02": 100, "2020-01-03": 40, "2020-01-06": 38})
    add_bars(conn, child, {"2020-01-03": 40})
    record(conn, "spin_offs", symbol="OLD", ex_date="2020-01-03", child="NEW", ratio="0.5")
    record(conn, "dividends", symbol="OLD", ex_date="2020-01-06", amount=2)
    record(conn, "splits", symbol="OLD", ex_date="2020-01-03", new_shares=3, old_shares=2)
    found = {
        how: closes(conn, parent, p_adjust=how)["2020-01-02"]
        for how in ("none", "splits", "capital", "all")
    }
    # A holder of both has 40 and half of 40 on the ex-date.
    assert found == {
        "none": 100,
        "splits": round(100 * 2 / 3, 4),
        "capital": round(100 * 2 / 3 * 40 / 60, 4),
        "all": round(100 * 2 / 3 * 40 / 60 * 38 / 40, 4),
    }
    record(conn, "spin_offs", symbol="OLD", ex_date="2020-01-03", child="NEW", value=30)
    assert closes(conn, parent, p_adjust="capital")["2020-01-02"] == round(100 * 2 / 3 * 0.7, 4)


def test_adjusted_daily_factor_that_cannot_be_known_is_an_error(conn):
    stock = add_instrument(conn, "OLD")
    add_instrument(conn, "NEW")
    add_bars(conn, stock, {"2020-01-02": 100, "2020-01-03": 40})
    for kind, fact, text in (
        ("spin_offs", {"child": "NEW", "ratio": 1}, "spin-off, of NEW"),
        ("dividends", {"amount": 1, "currency": "EUR"}, "paid in EUR, prices are in USD"),
        ("dividends", {"amount": 100}, "100 paid on a share worth 100"),
    ):
        key = {"symbol": "OLD", "ex_date": "2020-01-03"}
        with conn.transaction(force_rollback=True):
            record(conn, kind, **key, **fact)
            with pytest.raises(psycopg.Error, match=text) as caught, conn.transaction():
                closes(conn, stock)
            assert caught.value.sqlstate == "TT001"
            assert closes(conn, stock, p_adjust="splits") == {"2020-01-02": 100, "2020-01-03": 40}


def test_adjusted_daily_bad_input_is_refused(conn):
    stock = add_instrument(conn, "IBM")
    add_bars(conn, stock, {"2020-01-02": 100})
    add_bars(conn, stock, {"2020-01-02": 101}, feed="other")
    for options, state in (
        ({"p_adjust": "both"}, "TT001"),
        ({"p_bars": "minute"}, "TT001"),
        ({"p_from": "2030-01-02"}, "TT001"),
        ({"p_known_at": None}, "TT001"),
        ({}, "TT001"),
        ({"p_feed": "none"}, "TT002"),
    ):
        with pytest.raises(psycopg.Error) as caught:
            closes(conn, stock, **options)
        assert caught.value.sqlstate == state, options
    assert closes(conn, stock, p_feed="other") == {"2020-01-02": 101}
    with pytest.raises(psycopg.Error, match="unknown instrument") as caught:
        closes(conn, 999)
    assert caught.value.sqlstate == "TT002"


def test_adjusted_daily_holes_and_actions_before_the_first_bar_are_no_obstacle(conn):
    stock = add_instrument(conn, "IBM")
    add_bars(conn, stock, {"2020-01-02": 100, "2020-01-03": 102, "2020-01-07": 51})
    conn.execute("update market._source_bars set close = null where close = 1020000")
    for day in ("2019-12-31", "2020-01-02", "2020-01-06"):
        record(conn, "splits", symbol="IBM", ex_date=day, new_shares=2)
    record(conn, "dividends", symbol="IBM", ex_date="2020-01-06", amount=1)
    rows = conn.execute(
        "select close, open, price_factor from market.adjusted_daily(%s, '2019-01-01', '2021-01-01')",
        (stock,),
    ).fetchall()
    # The dividend is measured by the last close there is.
    assert rows == [(49.5, 49.5, Decimal("0.99")), (None, 50.49, Decimal("0.99")), (51, 51, 1)]


def test_adjusted_daily_from_our_own_bars(conn):
    stock = add_instrument(conn, "IBM")
    conn.execute("insert into ops.feeds (feed, format) values ('ticks', 'lean')")
    conn.execute(
        """insert into market.sources (feed_id, sha256, content, name, kind, instrument_id)
           select feed_id, '', '', '', 'trades', %s from ops.feeds""",
        (stock,),
    )
    conn.execute(
        """insert into market._trades (ts, recv_ts, seq, price, size, instrument_id, source_id,
               feed_id, ns, flags)
           select t.ts, t.ts, 0, t.price, 100, %s, 1, f.feed_id, 0, 0
           from ops.feeds f, (values
               ('2020-01-02 20:59Z'::timestamptz, 1000000), ('2020-01-03 14:30Z', 500000))
               t (ts, price)""",
        (stock,),
    )
    record(conn, "splits", symbol="IBM", ex_date="2020-01-03", new_shares=2)
    assert closes(conn, stock, p_bars="ticks") == {"2020-01-02": 50, "2020-01-03": 50}
    assert closes(conn, stock) == {}


def test_adjusted_daily_readers_may_call_it(conn, connect_as):
    stock = add_instrument(conn, "IBM")
    add_bars(conn, stock, {"2020-01-02": 100, "2020-01-03": 50})
    record(conn, "splits", symbol="IBM", ex_date="2020-01-03", new_shares=2)
    for role in ("tsdb_quant", "tsdb_readonly", "tsdb_operator"):
        assert closes(connect_as(role), stock) == {"2020-01-02": 50, "2020-01-03": 50}


PRICES = st.integers(100, 10_000)
ACTIONS = st.dictionaries(
    st.integers(1, 7),
    st.tuples(
        st.sampled_from([None, (7, 1), (1, 20), (3, 2), (1001, 1000)]),
        st.one_of(st.none(), st.integers(1, 99)),
    ),
    max_size=7,
)


def expected(
    prices: list[int], actions: Mapping[int, tuple[tuple[int, int] | None, int | None]]
) -> list[tuple[Fraction, Fraction]]:
    """Return the factors of each day in exact fractions, going back from the last day."""
    split = price = Fraction(1)
    found = []
    for day in reversed(range(len(prices))):
        found.append((split, price))
        shares, cents = actions.get(day, (None, None))
        if shares is not None:
            split *= Fraction(shares[1], shares[0])
        if cents is not None:
            price *= 1 - Fraction(cents, prices[day - 1])
    return found[::-1]


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(PRICES, min_size=8, max_size=8), ACTIONS)
def test_adjusted_daily_any_actions_equal_exact_fractions(conn, prices, actions):
    with conn.transaction(force_rollback=True):
        stock = add_instrument(conn, "IBM")
        days = [date(2020, 1, 1) + timedelta(days=n) for n in range(8)]
        add_bars(conn, stock, {d: Decimal(p) / 100 for d, p in zip(days, prices, strict=True)})
        for day, (shares, cents) in actions.items():
            key = {"symbol": "IBM", "ex_date": str(days[day])}
            if shares is not None:
                record(conn, "splits", **key, new_shares=shares[0], old_shares=shares[1])
            if cents is not None:
                record(conn, "dividends", **key, amount=str(Decimal(cents) / 100))
        rows = conn.execute(
            """select split_factor, price_factor, close
               from market.adjusted_daily(%s, '2020-01-01', '2020-12-31')""",
            (stock,),
        ).fetchall()
    for (split, price, close), exact, cents in zip(
        rows, expected(prices, actions), prices, strict=True
    ):
        # Products are exact, and divided once.
        assert abs(Fraction(split) - exact[0]) <= Fraction(1, 2 * 10**24)
        assert abs(Fraction(price) - exact[1]) <= Fraction(1, 2 * 10**24)
        assert close == pytest.approx(float(exact[0] * exact[1] * cents / 100), rel=1e-9)
