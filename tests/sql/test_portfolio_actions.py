"""Splits, dividends, spin-offs and symbols: in reports as of a day and as known, and in live positions."""

from __future__ import annotations

import uuid
from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from factories import Venue, add_instrument, open_session, order, set_quote, submit
from portfolio_books import KNOWN, Books, books, record

DAY = "2014-06-09"


def _lots(own: Books, method: str = "fifo") -> list[tuple]:
    return own.query(
        "select i.symbol, l.quantity, l.cost, l.opened_on from portfolio.lots('infinity', 'infinity', "
        "%s, %s) l join ref.instruments i using (instrument_id) order by i.symbol, lot_no",
        method,
    )


def _positions(own: Books, as_of: object = "infinity", known: object = "infinity") -> list[tuple]:
    return own.query(
        "select symbol, quantity, cost, realized_pnl, cash, dividends from "
        "portfolio.positions_at(%s, %s, 'average', %s) order by symbol",
        *(as_of, known),
    )


def test_split_multiplies_shares_and_keeps_cost(conn):
    own = books(conn)
    own.fill(100, 700, on="2014-06-02")
    own.fill(10, 770, on="2014-06-03")
    record(conn, "splits", {"symbol": "IBM", "ex_date": DAY, "new_shares": 7}, KNOWN)
    own.fill(-350, 110, on="2014-06-09")
    assert _lots(own) == [
        ("IBM", 350, 35000, date(2014, 6, 2)),
        ("IBM", 70, 7700, date(2014, 6, 3)),
    ]
    [(_, quantity, cost, realized, cash, _)] = _positions(own)
    assert (quantity, realized) == (420, 350 * 110 - cost_of_sold(77700, 350, 770))
    assert realized == cash + cost


def cost_of_sold(cost: int, sold: int, held: int) -> Decimal:
    """Return what was sold of a position had cost, to twelve decimals."""
    exact = Fraction(cost * sold, held)
    return (Decimal(exact.numerator) / exact.denominator).quantize(Decimal("1e-12"))


def test_split_counts_from_the_ex_date_in_the_listing_s_time_zone(conn):
    own = books(conn)
    own.fill(100, 700, on="2014-06-02")
    record(
        conn,
        "listings",
        {"symbol": "IBM", "venue": "XNYS", "is_primary": True, "valid_from": "2000-01-01"},
        KNOWN,
    )
    record(conn, "splits", {"symbol": "IBM", "ex_date": DAY, "new_shares": 7}, KNOWN)
    before = datetime(2014, 6, 9, 3, 59, 59, tzinfo=UTC)
    assert _positions(own, before)[0][1] == 100
    assert _positions(own, datetime(2014, 6, 9, 4, tzinfo=UTC))[0][1] == 700


def test_reverse_split_pays_cash_in_lieu_of_fractions(conn):
    own = books(conn)
    own.fill(90, 1, on="2014-06-02")
    own.fill(15, 2, on="2014-06-03")
    # 105 / 20 = 5.25: a quarter of a share is paid.
    record(
        conn,
        "splits",
        {"symbol": "IBM", "ex_date": DAY, "new_shares": 1, "old_shares": 20, "cash_in_lieu": 24},
        KNOWN,
    )
    # First in, first out: 0.25 of 4.5 new shares that had cost 90.
    assert _lots(own) == [
        ("IBM", Decimal("4.25"), 85, date(2014, 6, 2)),
        ("IBM", Decimal("0.75"), 30, date(2014, 6, 3)),
    ]
    assert own.query(
        "select closed_by, quantity, cost, proceeds, realized_pnl from "
        "portfolio.closed_lots('infinity', 'infinity', 'fifo', %s)"
    ) == [("cash_in_lieu", Decimal("0.25"), 5, 6, 1)]
    assert own.query(
        "select kind, amount, trade_date from portfolio.cash_entries where kind <> 'trade' and session_id = %s"
    ) == [("cash_in_lieu", 6, date(2014, 6, 9))]
    assert own.broken()[0][0].startswith("live positions"), "nobody applied it yet"


def test_short_position_pays_for_the_fraction_and_the_dividend(conn):
    own = books(conn)
    own.fill(-105, 1, on="2014-06-02")
    record(
        conn,
        "splits",
        {"symbol": "IBM", "ex_date": DAY, "new_shares": 1, "old_shares": 20, "cash_in_lieu": 24},
        KNOWN,
    )
    record(conn, "dividends", {"symbol": "IBM", "ex_date": DAY, "amount": "0.10"}, KNOWN)
    assert own.query(
        "select kind, amount from portfolio.cash_entries where kind <> 'trade' and session_id = %s order by kind"
    ) == [("cash_in_lieu", -6), ("dividend", Decimal("-10.50"))], "on shares before the split"
    assert _positions(own)[0][1] == -5


def test_split_without_a_price_for_fractions_keeps_them_until_it_is_known(conn):
    own = books(conn)
    own.fill(100, 1, on="2014-06-02")
    split = {"symbol": "IBM", "ex_date": DAY, "new_shares": 1, "old_shares": 3}
    record(conn, "splits", split, KNOWN)
    assert _positions(own)[0][1] == Decimal("33.333333333333")
    asked = conn.execute("select clock_timestamp()").fetchone()
    assert record(conn, "splits", split | {"cash_in_lieu": 3}) == "corrected"
    assert _positions(own)[0][1] == 33
    assert _positions(own, known=asked[0])[0][1] == Decimal("33.333333333333"), "as known before"


def test_dividend_goes_to_who_held_at_the_close_before(conn):
    own = books(conn)
    own.fill(100, 10, on="2014-06-06")
    own.fill(-30, 10, on="2014-06-09")
    own.fill(-50, 11, on="2014-06-09", symbol="AIG")
    for symbol in ("IBM", "AIG"):
        record(conn, "dividends", {"symbol": symbol, "ex_date": DAY, "amount": "0.5"}, KNOWN)
    assert {row[0]: row[5] for row in _positions(own)} == {"AIG": 0, "IBM": 50}


def test_dividend_corrected_later_changes_reports_as_known_later(conn):
    own = books(conn)
    own.fill(100, 10, on="2014-06-06")
    record(conn, "dividends", {"symbol": "IBM", "ex_date": DAY, "amount": "0.5"}, KNOWN)
    before = conn.execute("select clock_timestamp()").fetchone()[0]
    record(conn, "dividends", {"symbol": "IBM", "ex_date": DAY, "amount": "0.6"})
    assert _positions(own)[0][5] == 60
    assert _positions(own, known=before)[0][5] == 50
    record(conn, "dividends", {"symbol": "IBM", "ex_date": DAY, "withdrawn": "true"})
    assert _positions(own)[0][5] == 0
    assert _positions(own, known=before)[0][5] == 50


def test_dividend_of_a_buy_busted_later_is_gone(conn):
    own = books(conn)
    bought = own.fill(100, 10, on="2014-06-06")
    own.fill(100, 10, on="2014-06-06")
    record(conn, "dividends", {"symbol": "IBM", "ex_date": DAY, "amount": "0.5"}, KNOWN)
    before = own.known
    own.bust(bought)
    assert _positions(own)[0][5] == 50
    assert _positions(own, known=before)[0][5] == 100


def test_dividend_in_another_currency_is_converted_or_null(conn):
    own = books(conn)
    own.fill(100, 10, on="2014-06-06")
    record(
        conn,
        "dividends",
        {"symbol": "IBM", "ex_date": DAY, "amount": "0.5", "currency": "EUR"},
        KNOWN,
    )
    assert _positions(own)[0][5] is None
    record(
        conn,
        "fx_rates",
        {"base_currency": "EUR", "quote_currency": "USD", "date": DAY, "rate": "1.36"},
        KNOWN,
    )
    assert _positions(own)[0][5] == 68
    assert own.query(
        "select currency, amount from portfolio.cash_entries where kind = 'dividend' and session_id = %s"
    ) == [("EUR", 50)]


def _spin_off(conn: psycopg.Connection, **changes: object) -> None:
    add_instrument(conn, "KID")
    record(
        conn,
        "spin_offs",
        {"symbol": "IBM", "child": "KID", "ex_date": DAY, "ratio": "0.25", "cost_share": "0.2"}
        | changes,
        KNOWN,
    )


def test_spin_off_moves_shares_and_its_share_of_the_cost_and_the_day_of_purchase(conn):
    own = books(conn)
    own.fill(100, 10, on="2014-06-02")
    own.fill(100, 20, on="2014-06-03")
    _spin_off(conn)
    own.fill(-25, 15, on="2014-07-01", symbol="KID")
    assert _lots(own) == [
        ("IBM", 100, 800, date(2014, 6, 2)),
        ("IBM", 100, 1600, date(2014, 6, 3)),
        ("KID", 25, 400, date(2014, 6, 3)),
    ]
    assert own.query(
        "select opened_on, closed_on, realized_pnl, days_held from "
        "portfolio.closed_lots('infinity', 'infinity', 'fifo', %s)"
    ) == [(date(2014, 6, 2), date(2014, 7, 1), 25 * 15 - 200, 29)]
    assert own.query(
        "select sum(amount), count(*) from portfolio.cash_entries where kind = 'spin_off' and session_id = %s"
    ) == [(0, 2)], "cost moves, no cash does"
    for _, _, cost, realized, cash, _ in _positions(own):
        assert realized == cash + cost


def test_spin_off_fraction_of_a_share_is_paid(conn):
    own = books(conn)
    own.fill(-102, 10, on="2014-06-02")
    _spin_off(conn, cash_in_lieu="8")
    assert _lots(own)[-1] == ("KID", -25, -200, date(2014, 6, 2))
    assert own.query(
        "select amount from portfolio.cash_entries where kind = 'cash_in_lieu' and session_id = %s"
    ) == [(-4,)]


def test_two_spin_offs_of_a_day_share_the_cost_of_before(conn):
    own = books(conn)
    own.fill(100, 10, on="2014-06-02")
    _spin_off(conn)
    add_instrument(conn, "KID2")
    record(
        conn,
        "spin_offs",
        {"symbol": "IBM", "child": "KID2", "ex_date": DAY, "ratio": "1", "cost_share": "0.3"},
        KNOWN,
    )
    assert [row[:3] for row in _lots(own)] == [
        ("IBM", 100, 500),
        ("KID", 25, 200),
        ("KID2", 100, 300),
    ]


def test_spin_off_of_a_spin_off_goes_down_the_line(conn):
    own = books(conn)
    own.fill(100, 10, on="2014-06-02")
    _spin_off(conn)
    add_instrument(conn, "GRAND")
    record(
        conn,
        "spin_offs",
        {
            "symbol": "KID",
            "child": "GRAND",
            "ex_date": "2015-01-05",
            "ratio": "2",
            "cost_share": "0.5",
        },
        KNOWN,
    )
    assert _lots(own) == [
        ("GRAND", 50, 100, date(2014, 6, 2)),
        ("IBM", 100, 800, date(2014, 6, 2)),
        ("KID", 25, 100, date(2014, 6, 2)),
    ]
    assert own.query(
        "select sum(cash) from portfolio.positions_at('infinity', 'infinity', 'lifo', %s)"
    ) == [(-1000,)]


def test_spin_off_without_a_cost_share_leaves_the_cost_with_the_parent(conn):
    own = books(conn)
    own.fill(100, 10, on="2014-06-02")
    add_instrument(conn, "KID")
    record(
        conn, "spin_offs", {"symbol": "IBM", "child": "KID", "ex_date": DAY, "ratio": "0.25"}, KNOWN
    )
    assert [row[:3] for row in _lots(own)] == [("IBM", 100, 1000), ("KID", 25, 0)]


def test_spin_off_of_a_child_we_do_not_know_is_money(conn):
    own = books(conn)
    own.fill(100, 10, on="2014-06-02")
    record(
        conn,
        "spin_offs",
        {"symbol": "IBM", "child": "Rights Inc.", "ex_date": DAY, "value": "1.5"},
        KNOWN,
    )
    assert own.query(
        "select kind, amount from portfolio.cash_entries where kind <> 'trade' and session_id = %s"
    ) == [("distribution", 150)]
    assert _positions(own)[0][5] == 150


def test_symbol_changes_and_the_position_does_not(conn):
    own = books(conn)
    own.fill(100, 10, on="2014-06-02", symbol="FB")
    conn.execute("select ref.change_symbol('FB', 'META', '2022-06-09')")
    before = own.query(
        "select symbol, quantity, instrument_id from portfolio.positions_at('2022-06-08', p_session_id => %s)"
    )
    after = own.query(
        "select symbol, quantity, instrument_id from portfolio.positions_at('2022-06-09', p_session_id => %s)"
    )
    assert before[0][1:] == after[0][1:]
    assert (before[0][0], after[0][0]) == ("FB", "META")


_fills = st.lists(
    st.tuples(
        st.sampled_from(["IBM", "KID"]),
        st.integers(-300, 300).filter(bool),
        st.decimals("0.01", "99", places=2),
        st.integers(2, 20),
    ),
    min_size=1,
    max_size=12,
)


@given(
    fills=_fills,
    ratio=st.tuples(st.integers(1, 7), st.integers(1, 7)),
    lieu=st.none() | st.decimals("0.01", "99", places=2),
    share=st.decimals("0", "1", places=3),
)
@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_any_actions_leave_every_promise_of_the_books(conn, fills, ratio, lieu, share):
    conn.execute("delete from ref.splits; delete from ref.spin_offs; delete from ref.dividends")
    own = books(conn)
    add_instrument(conn, "IBM")
    for symbol, signed, price, day in fills:
        own.fill(signed, price, Decimal("0.01"), symbol=symbol, on=date(2014, 6, day))
    paid = {} if lieu is None else {"cash_in_lieu": lieu}
    _spin_off(conn, cost_share=share, **paid)
    for symbol, day in (("IBM", DAY), ("KID", "2014-06-12")):
        record(
            conn,
            "splits",
            {"symbol": symbol, "ex_date": day, "new_shares": ratio[0], "old_shares": ratio[1]}
            | paid,
            KNOWN,
        )
        record(conn, "dividends", {"symbol": symbol, "ex_date": day, "amount": "0.37"}, KNOWN)
    own.rebuild()
    conn.execute("select portfolio.apply_corporate_actions(%s, '2014-06-30')", (own.session,))
    assert own.broken() == []
    for method in ("average", "fifo", "lifo", "specific"):
        lots = own.query(
            "select instrument_id, sum(quantity), sum(cost) from "
            "portfolio.lots('infinity', 'infinity', %s, %s) group by 1 order by 1",
            method,
        )
        assert lots == own.query(
            "select instrument_id, quantity, cost from portfolio.positions_at('infinity', 'infinity', "
            "%s, %s) where quantity <> 0 order by 1",
            method,
        ), "lots add up to the position"


def _filled(conn: psycopg.Connection) -> tuple[uuid.UUID, Venue]:
    session = open_session(conn)
    set_quote(conn, session)
    venue = Venue(conn, submit(conn, order(session, quantity="300"))[0][0])
    venue.fill(105, "10")
    return session, venue


def _apply(conn: psycopg.Connection, session: uuid.UUID, day: str = "2013-10-09") -> int:
    row = conn.execute(
        "select portfolio.apply_corporate_actions(%s, %s)", (session, day)
    ).fetchone()
    assert row is not None
    return int(row[0])


def test_apply_changes_live_positions_once_and_warns_of_working_orders(conn):
    session, venue = _filled(conn)
    record(
        conn,
        "splits",
        {
            "symbol": "IBM",
            "ex_date": "2013-10-09",
            "new_shares": 1,
            "old_shares": 20,
            "cash_in_lieu": 24,
        },
        KNOWN,
    )
    live = "select quantity, cost, realized_pnl, fees, cash from portfolio.positions"
    before = conn.execute(live).fetchone()
    assert _apply(conn, session, "2013-10-08") == 0
    assert conn.execute(live).fetchone() == before, "not before its ex date"
    assert _apply(conn, session) == 1
    assert conn.execute(live).fetchone() == (5, 1000, -44, Decimal("0.315"), Decimal("-1044.315"))
    assert _apply(conn, session) == 0
    assert conn.execute(
        "select (before->>'quantity')::numeric, (after->>'quantity')::numeric, trading_date, "
        "applied_by = session_user from portfolio.position_changes"
    ).fetchall() == [(105, 5, date(2013, 10, 9), True)]
    assert conn.execute(
        "select severity, message from ops.alerts where kind = 'corporate_action'"
    ).fetchall() == [("warning", "1 orders work on IBM, whose ex date is 2013-10-09")]
    # The day's first fill goes on from there, and a bust of the first of all sees the split as well.
    venue.fill(5, "200", trade_date="2013-10-09", transact_time="2013-10-09T14:00:00Z")
    assert conn.execute(live).fetchone()[0] == 10
    venue.report("trade_cancel", exec_ref_id=f"E{venue.order_id}-1", cum_qty="5")
    assert conn.execute(live).fetchone() == (5, 1000, 0, Decimal("0.015"), Decimal("-1000.015"))
    assert (
        conn.execute(
            "select * from portfolio.check_invariants(%s) where not passed", (session,)
        ).fetchall()
        == []
    )


def test_fill_of_the_day_before_a_split_that_comes_after_it_is_split(conn):
    session, venue = _filled(conn)
    record(conn, "splits", {"symbol": "IBM", "ex_date": "2013-10-09", "new_shares": 2}, KNOWN)
    assert _apply(conn, session) == 1
    venue.fill(10, "10")
    assert conn.execute("select quantity, cost from portfolio.positions").fetchone() == (230, 1150)


def test_fill_of_an_earlier_trade_date_takes_its_place_in_the_order(conn):
    session, venue = _filled(conn)
    sold = Venue(conn, submit(conn, order(session, side="sell", limit_price="99.99"))[0][0])
    sold.fill(50, "12", trade_date="2013-10-09", transact_time="2013-10-09T14:00:00Z")
    venue.fill(95, "20")
    live = conn.execute("select quantity, cost, realized_pnl from portfolio.positions").fetchone()
    # 105 at 10 and 95 at 20 before the sale: 14.75 on average.
    assert live == (150, Decimal("2212.5"), Decimal("-137.5"))
    assert (
        conn.execute(
            "select quantity, cost, realized_pnl from portfolio.positions_at('infinity', p_session_id => %s)",
            (session,),
        ).fetchone()
        == live
    )


def test_apply_again_after_a_correction_of_the_split_follows_it(conn):
    session, _ = _filled(conn)
    record(conn, "splits", {"symbol": "IBM", "ex_date": "2013-10-09", "new_shares": 2}, KNOWN)
    assert _apply(conn, session) == 1
    record(conn, "splits", {"symbol": "IBM", "ex_date": "2013-10-09", "new_shares": 3})
    assert _apply(conn, session) == 1
    assert conn.execute("select quantity from portfolio.positions").fetchone() == (315,)
    record(conn, "splits", {"symbol": "IBM", "ex_date": "2013-10-09", "withdrawn": "true"})
    assert _apply(conn, session, "2013-10-10") == 1
    assert conn.execute("select quantity from portfolio.positions").fetchone() == (105,)


def test_apply_pays_dividends_into_the_net_result(conn):
    session, _ = _filled(conn)
    record(conn, "dividends", {"symbol": "IBM", "ex_date": "2013-10-09", "amount": "0.5"}, KNOWN)
    assert _apply(conn, session) == 1
    total, dividends, funding, net = conn.execute(
        "select total_pnl, dividends, funding, net_pnl from portfolio.pnl"
    ).fetchone()
    assert (dividends, funding, net) == (Decimal("52.5"), 0, total + Decimal("52.5"))


@pytest.mark.parametrize(
    ("session", "day", "sqlstate"),
    [
        ("closed", "2013-10-09", "TT004"),
        (None, "2013-10-09", "TT002"),
        ("open", None, "TT001"),
        ("open", "infinity", "TT001"),
    ],
)
def test_apply_that_cannot_be_is_refused(conn, session, day, sqlstate):
    ids = {"open": open_session(conn), "closed": uuid.UUID(int=0), None: None}
    with pytest.raises(psycopg.Error) as caught:
        conn.execute("select portfolio.apply_corporate_actions(%s, %s)", (ids[session], day))
    assert caught.value.sqlstate == sqlstate
