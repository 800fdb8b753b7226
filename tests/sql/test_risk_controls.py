"""Every control of risk.controls: at its limit an order passes, one unit over it is denied, what is missing denies.

Each case leaves one row per control and order in risk.checks, and a denied order sends nothing.
"""

from __future__ import annotations

import uuid
from datetime import timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

from factories import AS_OF, Venue, add_instrument, open_session, order, set_quote, submit

SECOND = timedelta(seconds=1)


@pytest.fixture
def session(conn: psycopg.Connection) -> uuid.UUID:
    session_id = open_session(conn)
    set_quote(conn, session_id)
    return session_id


def limit(
    conn: psycopg.Connection, control: str, value: Any, period: str | None = None, **scope: str
) -> None:
    conn.execute(
        "select risk.set_limit(%s, %s, %s, 'test', p_period => %s)",
        (control, Jsonb(scope), value, period),
    )


def failed(conn: psycopg.Connection, order_id: int) -> list[str]:
    """Return the controls that denied an order, after checking the books agree."""
    rows = conn.execute(
        "select control, passed, reason from risk.checks where order_id = %s", (order_id,)
    ).fetchall()
    listed = {c for (c,) in conn.execute("select control from risk.controls").fetchall()}
    assert len(rows) == len(listed)
    assert {r[0] for r in rows} == listed
    denied = [control for control, passed, _ in rows if not passed]
    assert all(bool(reason) is not passed for _, passed, reason in rows)
    status, reasons, actions = conn.execute(
        "select status, reasons, (select count(*) from oms.order_actions a where a.order_id = o.order_id) "
        "from oms.orders o where order_id = %s",
        (order_id,),
    ).fetchone() or (None, [], None)
    assert (status == "denied", actions == 0) == (bool(denied), bool(denied))
    assert [reason.split(":")[0] for reason in reasons] == denied
    return denied


def denied_by(conn: psycopg.Connection, spec: dict[str, Any], as_of: Any = AS_OF) -> list[str]:
    return failed(conn, submit(conn, spec, as_of=as_of)[0][0])


def hold(
    conn: psycopg.Connection, session: uuid.UUID, quantity: int, price: str = "100", **changes: Any
) -> int:
    """Fill an order; return its id."""
    side = "buy" if quantity > 0 else "sell_short"
    spec = order(session, quantity=str(abs(quantity)), side=side, **changes)
    order_id = submit(conn, spec)[0][0]
    Venue(conn, order_id).fill(abs(quantity), price)
    return order_id


# Instruments --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scope", "denies"),
    [
        ({}, True),
        ({"account": "main"}, True),
        ({"account": "other"}, False),
        ({"side": "buy"}, True),
        ({"side": "sell_short"}, False),
        ({"symbol": "AIG"}, False),
        ({"valid_to": AS_OF}, False),
        ({"valid_to": AS_OF + SECOND}, True),
        ({"valid_from": AS_OF}, True),
        ({"valid_from": AS_OF + SECOND}, False),
    ],
)
def test_instrument_on_a_restricted_list_is_denied(conn, session, scope, denies):
    conn.execute("insert into ref.accounts (account) values ('other')")
    add_instrument(conn, "AIG")
    wanted = {"symbol": "IBM", "account": None, "side": None, "valid_from": "-infinity", "valid_to": "infinity"} | scope  # fmt: skip
    conn.execute(
        "select risk.restrict(%(symbol)s, 'insiders', %(account)s, %(side)s, %(valid_from)s, %(valid_to)s)",
        wanted,
    )
    assert denied_by(conn, order(session)) == (["restricted"] if denies else [])


@pytest.mark.parametrize(
    ("terms", "low", "high", "denies"),
    [
        ({}, "99", "100.01", False),
        ({}, "99", "100.00", True),
        ({"side": "sell", "limit_price": "99.00"}, "99.00", "101", False),
        ({"side": "sell", "limit_price": "98.99"}, "99.00", "101", True),
        ({"order_type": "market", "limit_price": None}, "99", "100.01", False),
        ({"order_type": "market", "limit_price": None}, "99", "100.00", True),
    ],
)
def test_price_outside_the_band_in_force_is_denied(conn, session, terms, low, high, denies):
    conn.execute("select risk.set_price_band('IBM', %s, %s, 'test')", (low, high))
    assert denied_by(conn, order(session, **terms)) == (["price_band"] if denies else [])


@pytest.mark.parametrize(
    ("terms", "denies"),
    [
        ({"limit_price": "100.01"}, []),
        ({"limit_price": "100.015"}, ["tick_size"]),
        ({"limit_price": "100.0000001"}, ["tick_size"]),
        ({"order_type": "stop", "limit_price": None, "stop_price": "100.05"}, []),
        ({"order_type": "stop", "limit_price": None, "stop_price": "100.055"}, ["tick_size"]),
        ({"order_type": "pegged", "limit_price": None, "peg_reference": "midpoint", "peg_offset": "-0.01"}, []),
        ({"order_type": "pegged", "limit_price": None, "peg_reference": "midpoint", "peg_offset": "-0.015"}, ["tick_size"]),
        ({"quantity": "100.5"}, ["lot_size"]),
    ],
)  # fmt: skip
def test_price_or_quantity_that_is_no_multiple_is_denied(conn, session, terms, denies):
    assert denied_by(conn, order(session, **terms)) == denies


def test_tick_size_of_the_day_and_price_counts(conn, session):
    conn.execute("update ref.instruments set tick_size = 0.05")
    assert denied_by(conn, order(session, limit_price="100.05")) == []
    assert denied_by(conn, order(session, limit_price="100.01")) == ["tick_size"]


def test_lot_size_of_the_instrument_counts(conn, session):
    conn.execute("update ref.instruments set lot_size = 50")
    assert denied_by(conn, order(session, quantity="150")) == []
    assert denied_by(conn, order(session, quantity="149")) == ["lot_size"]


def test_odd_lot_may_reduce(conn, session):
    hold(conn, session, 130)
    conn.execute("update ref.instruments set lot_size = 50")
    sell = order(session, side="sell", limit_price="100")
    assert denied_by(conn, order(session, quantity="30")) == ["lot_size"]
    assert denied_by(conn, sell | {"quantity": "131"}) == ["lot_size"], "it would turn"
    assert denied_by(conn, sell | {"quantity": "30"}) == []


# One order ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("control", "at", "passes", "fails"),
    [
        ("min_quantity", 100, {}, {"quantity": "99"}),
        ("min_value", "10001", {}, {"limit_price": "100"}),
        ("min_value", "10001", {"order_type": "market", "limit_price": None}, {"quantity": "99"}),
    ],
)
def test_floor_is_reached_or_the_order_is_denied(conn, session, control, at, passes, fails):
    limit(conn, control, at)
    assert denied_by(conn, order(session, **passes)) == []
    assert denied_by(conn, order(session, **fails)) == [control]
    reason = "select reason from risk.checks where control = %s and not passed"
    assert "is under the limit of" in conn.execute(reason, (control,)).fetchone()[0]


def test_greatest_floor_binds(conn, session):
    limit(conn, "min_quantity", 10)
    limit(conn, "min_quantity", 100, symbol="IBM")
    assert denied_by(conn, order(session, quantity="99")) == ["min_quantity"]


def test_time_of_the_order_far_from_the_session_is_denied(conn, session):
    limit(conn, "clock_skew", 2)
    assert denied_by(conn, order(session)) == ["clock_skew"], "there is no batch"
    conn.execute(
        "insert into market.batches (session_id, batch_no, from_ts, as_of, quote_count, trade_count, digest) "
        "values (%s, 1, %s, %s, 0, 0, 0)",
        (session, AS_OF - SECOND, AS_OF),
    )
    assert denied_by(conn, order(session), AS_OF + 2 * SECOND) == []
    late = AS_OF + 2 * SECOND + timedelta(microseconds=1)
    assert denied_by(conn, order(session), late) == ["clock_skew"]
    set_quote(conn, session, ts=AS_OF - 5 * SECOND)
    early = AS_OF - 2 * SECOND - timedelta(microseconds=1)
    assert denied_by(conn, order(session), early) == ["clock_skew"]


def test_price_may_walk_so_far_from_the_first_execution_of_the_period(conn, session):
    limit(conn, "price_walk", "0.01", "10 s")
    assert denied_by(conn, order(session, limit_price="102")) == [], "nothing has walked"
    hold(conn, session, 100, "100")
    at = AS_OF + 2 * SECOND
    assert denied_by(conn, order(session, limit_price="101"), at) == []
    assert denied_by(conn, order(session, limit_price="101.01"), at) == ["price_walk"]
    assert denied_by(conn, order(session, limit_price="101.01"), AS_OF + 12 * SECOND) == []


def test_price_may_walk_so_far_in_each_of_several_periods(conn, session):
    limit(conn, "price_walk", "0.01", "10 s")
    limit(conn, "price_walk", "0.03", "1 h", account="main")
    for price, earlier in (("100", timedelta(minutes=30)), ("102", timedelta())):
        venue = Venue(conn, submit(conn, order(session))[0][0])
        venue.fill(100, price, transact_time=(AS_OF - earlier).isoformat())
    at = AS_OF + 2 * SECOND
    # From 100 by 3% at most, from 102 by 1%.
    for price, found in (
        ("103", []),
        ("103.01", ["price_walk"]),
        ("100.99", []),
        ("100.98", []),
        ("100.97", ["price_walk"]),
    ):
        assert denied_by(conn, order(session, limit_price=price), at) == found, price
    values = conn.execute(
        "select distinct limit_value from risk.checks where control = 'price_walk' and not passed"
    ).fetchall()
    assert {row[0] for row in values} == {Decimal("0.03"), Decimal("0.01")}


# Over time ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "control",
    ["message_rate_account", "message_rate_strategy", "message_rate_venue", "submit_rate"],
)
def test_rate_at_the_limit_passes_and_one_more_is_denied(conn, session, control):
    limit(conn, control, 3, "2 s")
    for number in range(3):
        at = AS_OF + timedelta(milliseconds=500 * number)
        assert denied_by(conn, order(session, quantity=str(10 + number)), at) == []
    assert denied_by(conn, order(session), AS_OF + 2 * SECOND - timedelta(microseconds=1)) == [
        control
    ]
    # The window is open at its beginning: two seconds later the first has left it.
    assert denied_by(conn, order(session), AS_OF + 2 * SECOND) == []


def test_denied_orders_send_nothing_and_do_not_count(conn, session):
    limit(conn, "submit_rate", 1)
    limit(conn, "order_quantity", 100)
    assert denied_by(conn, order(session, quantity="101")) == ["order_quantity"]
    assert denied_by(conn, order(session)) == []


@pytest.mark.parametrize("control", ["message_rate_account", "message_rate_venue", "submit_rate"])
def test_cancels_and_replaces_count_as_messages_and_a_cancel_always_leaves(conn, session, control):
    order_id = submit(conn, order(session))[0][0]
    Venue(conn, order_id).report("new")
    limit(conn, control, 2, "1 min")
    changes = Jsonb({"limit_price": "100"})
    row = conn.execute(
        "select status, reasons from oms.replace_order(%s, %s, gen_random_uuid(), %s)",
        (order_id, changes, AS_OF),
    ).fetchone()
    assert row == ("pending_replace", [])
    assert denied_by(conn, order(session)) == ([] if control == "submit_rate" else [control])
    [(_, status, reasons)] = conn.execute(
        "select * from oms.cancel_order(%s, gen_random_uuid(), %s)", (order_id, AS_OF)
    ).fetchall()
    assert (status, reasons) == ("pending_cancel", [])


def test_rates_are_of_one_account_strategy_or_venue(conn, session):
    conn.execute("insert into ref.accounts (account) values ('other')")
    limit(conn, "message_rate_account", 1)
    limit(conn, "message_rate_strategy", 2)
    assert denied_by(conn, order(session)) == []
    assert denied_by(conn, order(session)) == ["message_rate_account"]
    assert denied_by(conn, order(session, account="other")) == []
    assert denied_by(conn, order(session, account="other", strategy="pairs")) == [
        "message_rate_account"
    ]


def test_several_limits_of_a_rate_all_hold(conn, session):
    limit(conn, "submit_rate", 2, "1 s")
    limit(conn, "submit_rate", 3, "1 min", account="main")
    assert [denied_by(conn, order(session), AS_OF + n * 2 * SECOND) for n in range(4)] == [
        [], [], [], ["submit_rate"],
    ]  # fmt: skip


def test_legs_of_a_basket_count_for_each_other(conn, session):
    limit(conn, "submit_rate", 2)
    legs = [order(session, quantity=q) for q in ("1", "2", "3")]
    rows = submit(conn, legs)
    assert [status for _, status, _ in rows] == ["denied"] * 3
    assert [r[0].split(":")[0] for _, _, r in rows] == ["basket", "basket", "submit_rate"]


def test_same_order_again_within_the_period_is_denied(conn, session):
    limit(conn, "duplicate_order", 1, "5 s")
    assert denied_by(conn, order(session)) == []
    assert denied_by(conn, order(session), AS_OF + SECOND) == ["duplicate_order"]
    for other in ({"quantity": "99"}, {"limit_price": "100"}, {"side": "sell"}):
        assert denied_by(conn, order(session, **other), AS_OF + SECOND) == []
    assert denied_by(conn, order(session), AS_OF + 5 * SECOND) == []


def test_repeated_executions_disable_the_strategy_until_a_person_enables_it(conn, session):
    limit(conn, "repeated_execution", 2, "1 min", strategy="pairs")
    hold(conn, session, 10, strategy="pairs")
    hold(conn, session, 10, strategy="pairs")
    at = AS_OF + SECOND
    assert denied_by(conn, order(session, strategy="pairs", side="sell"), at) == []
    assert denied_by(conn, order(session, strategy="pairs"), at) == ["repeated_execution"]
    assert denied_by(conn, order(session, strategy="pairs", side="sell"), at) == ["strategy"]
    much_later = AS_OF + timedelta(seconds=50)
    assert denied_by(conn, order(session, strategy="pairs"), much_later) == [
        "strategy", "repeated_execution",
    ]  # fmt: skip
    conn.execute("select risk.enable_strategy('pairs', 'looked at it')")
    assert denied_by(conn, order(session, strategy="pairs"), at) == []
    assert denied_by(conn, order(session), at) == [], "another strategy was never concerned"


# Exposure -----------------------------------------------------------------------------------------


@pytest.fixture
def book(conn: psycopg.Connection, session: uuid.UUID) -> uuid.UUID:
    """Hold 100 IBM and short 50 AIG, both marked at 100; BAC works."""
    conn.execute("insert into ref.accounts (account) values ('other')")
    for symbol in ("AIG", "BAC"):
        set_quote(conn, session, symbol)
    conn.execute(
        "update ref.instruments set sector = case symbol when 'IBM' then 'tech' else 'finance' end"
    )
    hold(conn, session, 100)
    hold(conn, session, -50, symbol="AIG", limit_price="100")
    submit(conn, order(session, symbol="BAC", quantity="30", limit_price="99.00"))
    return session


@pytest.mark.parametrize(
    ("control", "at"),
    [
        # 100 IBM + 50 AIG + 30 BAC at the marks, and this order's 20 IBM at the mark.
        ("gross_exposure", 20_000),
        # Long IBM 120 and BAC 30 less AIG 50: all buys filled.
        ("net_exposure", 10_000),
        ("sector_exposure", 12_000),
        ("name_exposure", 12_000),
        # Positions at marks 15,000, BAC at its limit 2,970, this at its own 2,000.20.
        ("credit", Decimal("19970.20")),
        ("capital", 20_000),
        # Paid 10,000 for IBM, had 5,000 from AIG; BAC and this to be paid; fees 0.45.
        ("buying_power", None),
    ],
)
def test_exposure_at_the_limit_passes_and_one_unit_over_is_denied(conn, book, control, at):
    spec = order(book, quantity="20")
    if at is None:
        spent = conn.execute("select -sum(cash) from portfolio.positions").fetchone()[0]
        assert 5_000 < spent < 5_001
        at = spent + Decimal("2970") + Decimal("2000.20")
    limit(conn, control, at)
    assert denied_by(conn, spec | {"quantity": "21"}) == [control]
    observed = conn.execute(
        "select observed from risk.check_order(%s, %s) where control = %s",
        (Jsonb(spec), AS_OF, control),
    ).fetchone()[0]
    assert observed == at
    assert denied_by(conn, spec) == []


@pytest.mark.parametrize(
    "control",
    ["gross_exposure", "net_exposure", "sector_exposure", "name_exposure", "credit", "capital", "buying_power"],
)  # fmt: skip
def test_order_that_reduces_passes_every_exposure(conn, book, control):
    limit(conn, control, 1)
    sell = order(book, side="sell", quantity="100", limit_price="100")
    assert denied_by(conn, sell) == []
    assert denied_by(conn, sell | {"side": "sell_short", "quantity": "1"}) == [
        control
    ] or control in ("buying_power",), "beyond flat it adds"


@pytest.mark.parametrize("control", ["gross_exposure", "net_exposure", "credit", "capital"])
def test_position_without_a_mark_denies_what_is_measured_with_it(conn, book, control):
    limit(conn, control, 1_000_000_000)
    conn.execute("delete from market.latest_quotes where instrument_id = ref.instrument_id('AIG')")
    assert denied_by(conn, order(book, quantity="1")) == [control]


def test_instrument_without_a_sector_is_denied_where_sectors_are_limited(conn, book):
    limit(conn, "sector_exposure", 1_000_000_000)
    conn.execute("update ref.instruments set sector = null where symbol = 'IBM'")
    assert denied_by(conn, order(book, quantity="1")) == ["sector_exposure"]


def test_capital_counts_every_account_and_credit_one(conn, book):
    limit(conn, "capital", 19_000)
    limit(conn, "credit", 19_000)
    assert denied_by(conn, order(book, account="other", quantity="11", limit_price="100")) == [
        "capital"
    ]
    assert denied_by(conn, order(book, account="other", quantity="10", limit_price="100")) == []


def test_buying_power_is_used_up_by_the_legs_of_a_basket(conn, session):
    set_quote(conn, session, "AIG")
    limit(conn, "buying_power", 20_000)
    legs = [order(session, symbol=s, limit_price="100") for s in ("IBM", "AIG")]
    assert [s for _, s, _ in submit(conn, legs)] == ["pending_new"] * 2
    assert denied_by(
        conn, order(session, quantity="1", limit_price="0.01" if False else "99.00")
    ) == ["buying_power"]


# Short sales, own orders --------------------------------------------------------------------------


def test_short_sale_beyond_what_is_located_is_denied(conn, session):
    limit(conn, "locate", 0)
    short = order(session, side="sell_short", limit_price="100")
    assert denied_by(conn, short) == ["locate"]
    conn.execute("select risk.add_locate('main', 'IBM', %s, 100, 'prime', 'L1')", (AS_OF.date(),))
    assert denied_by(conn, short | {"quantity": "101"}) == ["locate"]
    assert denied_by(conn, short) == []
    assert denied_by(conn, short | {"quantity": "1"}) == ["locate"], "the first has used it up"
    assert denied_by(conn, order(session)) == [], "a buy needs none"


def test_sale_of_what_is_held_needs_no_locate(conn, session):
    hold(conn, session, 100)
    limit(conn, "locate", 0)
    sell = order(session, side="sell", limit_price="100")
    assert denied_by(conn, sell | {"quantity": "101"}) == ["locate"]
    assert denied_by(conn, sell) == []


def test_locate_of_another_day_is_of_no_use(conn, session):
    limit(conn, "locate", 0)
    yesterday = AS_OF.date() - timedelta(days=1)
    conn.execute("select risk.add_locate('main', 'IBM', %s, 100, 'prime', 'L1')", (yesterday,))
    assert denied_by(conn, order(session, side="sell_short", limit_price="100")) == ["locate"]


@pytest.mark.parametrize(
    ("resting", "coming", "matches"),
    [
        ({"side": "sell", "limit_price": "100.05"}, {"limit_price": "100.05"}, True),
        ({"side": "sell", "limit_price": "100.05"}, {"limit_price": "100.04"}, False),
        ({"side": "sell", "limit_price": "100.05"}, {"order_type": "market", "limit_price": None}, True),
        ({"limit_price": "99.90"}, {"side": "sell", "limit_price": "99.90"}, True),
        ({"limit_price": "99.90"}, {"side": "sell", "limit_price": "99.91"}, False),
        ({"limit_price": "99.90"}, {"limit_price": "99.80"}, False),
        ({"side": "sell", "limit_price": "100.05", "account": "other"}, {"limit_price": "100.05"}, True),
    ],
)  # fmt: skip
def test_order_that_could_trade_with_our_own_is_denied(conn, session, resting, coming, matches):
    conn.execute("insert into ref.accounts (account) values ('other')")
    assert denied_by(conn, order(session, **resting)) == []
    limit(conn, "self_match", 0)
    assert denied_by(conn, order(session, **coming)) == (["self_match"] if matches else [])


# Losses -------------------------------------------------------------------------------------------


def test_loss_of_the_day_at_the_limit_passes_and_more_is_denied(conn, session):
    hold(conn, session, 100, "100")
    fees = conn.execute("select sum(fees) from portfolio.positions").fetchone()[0]
    set_quote(conn, session, bid=98.99, ask=99.01)
    buy, sell = (
        order(session, limit_price="99.00"),
        order(session, side="sell", limit_price="99.00"),
    )
    limit(conn, "daily_loss", 100 + fees)
    assert denied_by(conn, buy | {"quantity": "1"}) == []
    limit(conn, "daily_loss", Decimal("99.99") + fees)
    assert denied_by(conn, buy | {"quantity": "1"}) == ["daily_loss"]
    assert denied_by(conn, sell) == [], "what reduces is never kept back"


def test_loss_of_yesterday_is_not_of_today(conn, session):
    hold(conn, session, 100, "100")
    set_quote(conn, session, bid=98.99, ask=99.01)
    conn.execute("select risk.monitor_session(%s, %s)", (session, AS_OF))
    limit(conn, "daily_loss", 1)
    assert denied_by(conn, order(session, limit_price="99.00")) == ["daily_loss"]
    tomorrow = AS_OF + timedelta(days=1)
    set_quote(conn, session, bid=98.99, ask=99.01, ts=tomorrow)
    assert denied_by(conn, order(session, limit_price="99.00"), tomorrow) == []


def test_fall_from_the_highest_mark_at_the_limit_passes_and_more_is_denied(conn, session):
    hold(conn, session, 100, "100")
    set_quote(conn, session, bid=104.99, ask=105.01)
    conn.execute("select risk.monitor_session(%s, %s)", (session, AS_OF))
    set_quote(conn, session, bid=102.99, ask=103.01)
    limit(conn, "drawdown", 200)
    assert denied_by(conn, order(session, limit_price="103.00")) == []
    limit(conn, "drawdown", "199.99")
    assert denied_by(conn, order(session, limit_price="103.00")) == ["drawdown"]


@pytest.mark.parametrize("control", ["daily_loss", "drawdown"])
def test_loss_that_is_not_known_denies(conn, book, control):
    limit(conn, control, 1_000_000_000)
    assert denied_by(conn, order(book, quantity="1")) == []
    conn.execute("delete from market.latest_quotes where instrument_id = ref.instrument_id('AIG')")
    assert denied_by(conn, order(book, quantity="1")) == [control]


@pytest.mark.parametrize("control", ["clock_skew", "incremental_var", "sector_exposure"])
def test_optional_control_without_its_data_denies_where_a_limit_is_set(conn, session, control):
    limit(conn, control, 1_000_000_000)
    assert denied_by(conn, order(session)) == [control]


# Trading states -----------------------------------------------------------------------------------


@pytest.mark.parametrize("scope", [{}, {"account": "main"}, {"symbol": "IBM"}, {"venue": "SIM"}])
def test_reducing_state_lets_through_what_does_not_get_past_flat(conn, session, scope):
    hold(conn, session, 100)
    conn.execute("select risk.set_state(%s, 'reducing', 'too much')", (Jsonb(scope),))
    sell = order(session, side="sell", limit_price="100")
    assert denied_by(conn, order(session, quantity="1")) == ["halt"]
    assert denied_by(conn, sell | {"quantity": "101"}) == ["halt"]
    assert denied_by(conn, sell | {"quantity": "60"}) == []
    assert denied_by(conn, sell | {"quantity": "41"}) == ["halt"], "60 of the 100 are being sold"
    assert denied_by(conn, sell | {"quantity": "40"}) == []
    conn.execute("select risk.set_state(%s, 'halted', 'stop')", (Jsonb(scope),))
    assert denied_by(conn, sell | {"quantity": "1"}) == ["halt"]


# Authorisations -----------------------------------------------------------------------------------


def test_second_person_lets_one_order_exceed_soft_controls(conn, session, connect_as):
    limit(conn, "name_exposure", 5_000)
    spec = order(session)
    assert denied_by(conn, spec) == ["name_exposure"]
    [(number,)] = connect_as("tsdb_risk").execute(
        "select risk.authorise_order(%s, '{name_exposure}', 'known client', clock_timestamp() + '1 h')",
        (Jsonb(spec),),
    )
    spec["authorisation_id"] = number
    [(order_id, status, reasons)] = submit(conn, spec)
    assert (status, reasons) == ("pending_new", [])
    row = conn.execute(
        "select passed, reason, observed, limit_value from risk.checks "
        "where order_id = %s and control = 'name_exposure'",
        (order_id,),
    ).fetchone()
    assert row[0]
    assert f"authorisation {number} allows it" in row[1]
    assert row[2] > row[3]
    [(_, status, reasons)] = submit(conn, spec)
    assert status == "denied"
    assert f"authorisation {number} was used by order {order_id}" in reasons[0]


def test_authorisation_does_not_help_against_hard_controls(conn, session, connect_as):
    limit(conn, "name_exposure", 5_000)
    limit(conn, "order_quantity", 99)
    spec = order(session)
    [(number,)] = connect_as("tsdb_risk").execute(
        "select risk.authorise_order(%s, '{name_exposure}', 'known client', clock_timestamp() + '1 h')",
        (Jsonb(spec),),
    )
    [(_, status, reasons)] = submit(conn, spec | {"authorisation_id": number})
    assert status == "denied"
    assert [r.split(":")[0] for r in reasons] == ["order_quantity", "name_exposure"]
    used = conn.execute("select used_at from risk.authorisations").fetchone()
    assert used == (None,)


# Options and requirements -------------------------------------------------------------------------


def test_option_without_a_limit_is_off_and_says_so(conn, session):
    rows = conn.execute(
        "select c.control from risk.check_order(%s, %s) k join risk.controls c using (control) "
        "where not c.is_required and c.needs_limit and (not k.passed or k.limit_value is not null)",
        (Jsonb(order(session)), AS_OF),
    ).fetchall()
    assert rows == []


def test_order_that_is_denied_by_several_controls_names_them_all(conn, session):
    limit(conn, "submit_rate", 0)
    limit(conn, "order_quantity", 1)
    assert denied_by(conn, order(session, limit_price="100.005")) == [
        "tick_size", "order_quantity", "submit_rate",
    ]  # fmt: skip


def test_replace_passes_the_same_controls(conn, session):
    order_id = submit(conn, order(session))[0][0]
    Venue(conn, order_id).report("new")
    for control, value, changes in (
        ("name_exposure", 10_001, {"quantity": "101"}),
        ("message_rate_account", 1, {"limit_price": "100"}),
        ("tick_size", None, {"limit_price": "100.005"}),
    ):
        if value is not None:
            limit(conn, control, value, symbol="IBM")
        row = conn.execute(
            "select status, reasons from oms.replace_order(%s, %s, gen_random_uuid(), %s)",
            (order_id, Jsonb(changes), AS_OF),
        ).fetchone()
        assert row is not None
        assert row[0] == "new"
        assert [r.split(":")[0] for r in row[1]] == [control]
        if value is not None:
            limit(conn, control, None, symbol="IBM")
    sent = conn.execute("select count(*) from oms.order_actions where kind = 'replace'").fetchone()
    assert sent == (0,)
