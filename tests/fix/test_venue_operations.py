"""What operators, days, settings and passwords do to a venue's orders and sessions."""

from __future__ import annotations

from datetime import timedelta

import pytest

from fix.conftest import Hall
from fix.simvenue.bench import Client, Market
from tsdb_trader.venue.passwords import hash_password

pytestmark = pytest.mark.slow
QUOTE = ("100.00", 500, "100.02", 300)


@pytest.fixture
def client(hall: Hall, tape: Market) -> Client:
    """Return a participant of a venue with its shipped settings."""
    tape.batch(("IBM", QUOTE))
    hall.open()
    return hall.connect()


def sums(hall: Hall) -> list[tuple[str, str, str]]:
    """Return status, quantity on the order, and the plain sum of its executions."""
    rows = hall.conn.execute(
        "select o.status, o.cumulative_quantity::text, (select coalesce(sum(e.quantity), 0)::text "
        "from venue.executions e where e.order_no = o.order_no) from venue.orders o "
        "order by o.order_no"
    )
    return [(r[0], r[1], r[2]) for r in rows]


def test_venue_bust_and_correction_of_a_working_order_change_what_is_executed(
    hall: Hall, client: Client
) -> None:
    order = client.order("1", 400, "100.02", tif="1")
    fill = [client.message(), client.message()][1]
    hall.command("correct", exec_id=fill["17"], quantity="200", price="100.01")
    corrected = client.message()
    assert (corrected["150"], corrected["39"], corrected["19"]) == ("G", "1", fill["17"])
    assert [corrected[t] for t in ("14", "151", "6", "32", "31")] == [
        "200",
        "200",
        "100.01",
        "200",
        "100.01",
    ]
    assert hall.command("bust", exec_id=fill["17"]).startswith("refused")
    hall.command("bust", exec_id=corrected["17"])
    busted = client.message()
    assert (busted["150"], busted["39"], busted["19"]) == ("H", "0", corrected["17"])
    assert (busted["14"], busted["151"], busted["6"], busted["11"]) == ("0", "400", "0", order)
    hall.tape.batch(("IBM", ("100.00", 500, "100.02", 301)))
    again = client.message()
    assert (again["32"], again["14"], again["151"]) == ("301", "301", "99")
    assert sums(hall) == [("partially_filled", "301", "301")]
    assert hall.command("bust", exec_id="E0") == "refused: no execution 'E0'"


def test_venue_bust_of_a_filled_order_on_a_later_day_leaves_it_over(
    hall: Hall, client: Client, tape: Market
) -> None:
    client.order("1", 100)
    fill = [client.message(), client.message()][1]
    tape.batch(("IBM", QUOTE), after=timedelta(days=1))
    hall.command("correct", exec_id=fill["17"], price="99.5")
    corrected = client.message()
    assert (corrected["39"], corrected["6"], corrected["151"]) == ("2", "99.5", "0")
    hall.command("bust", exec_id=corrected["17"])
    busted = client.message()
    assert (busted["150"], busted["39"], busted["14"], busted["151"]) == ("H", "4", "0", "0")
    assert sums(hall) == [("cancelled", "0", "0")]
    cash = hall.conn.execute("select sum(quantity * price) from venue.executions").fetchone()
    assert cash == (0,)


def test_venue_fix_42_reports_busts_and_corrections_by_exec_trans_type(
    hall: Hall, tape: Market
) -> None:
    tape.batch(("IBM", QUOTE))
    hall.open()
    client = hall.connect("OLD", "FIX.4.2")
    client.order("1", 100)
    fill = [client.message(), client.message()][1]
    hall.command("correct", exec_id=fill["17"], quantity="60")
    corrected = client.message()
    assert (corrected["20"], corrected["19"], corrected["14"]) == ("2", fill["17"], "60")
    hall.command("bust", exec_id=corrected["17"])
    busted = client.message()
    assert (busted["20"], busted["19"], busted["14"]) == ("1", corrected["17"], "0")


def test_venue_operator_moves_an_order_through_its_states(hall: Hall, client: Client) -> None:
    order = client.order("1", 100, "99.99", tif="1")
    assert client.states(1) == ["00"]
    named = {"cl_ord_id": order}
    assert hall.command("stop", **named) == "done"
    assert client.states(1) == ["77"]
    hall.command("release", **named)
    assert client.states(1) == ["D0"]
    hall.command("suspend", **named)
    assert client.states(1) == ["99"]
    hall.tape.batch(("IBM", ("99.90", 10, "99.95", 60)))
    hall.command("release", **named)
    # Back in its book it meets the market.
    assert client.states(2) == ["D0", "F1"]
    hall.command("restate", **named, quantity="80")
    restated = client.message()
    assert (restated["150"], restated["38"], restated["151"]) == ("D", "80", "20")
    hall.command("done_for_day", **named)
    assert client.states(1) == ["33"]
    assert hall.command("cancel", **named) == "done"
    gone = client.message()
    assert (gone["150"], gone["39"], gone["11"], gone.get("41")) == ("4", "4", order, None)
    assert hall.command("suspend", **named) == f"refused: order {order} is cancelled"
    assert hall.command("suspend", cl_ord_id="?") == "refused: 0 orders have ClOrdID '?'"


def test_venue_good_till_cancelled_order_is_done_for_the_day_and_goes_on_the_next(
    hall: Hall, client: Client, tape: Market
) -> None:
    kept = client.order("1", 100, "99.50", tif="1")
    client.order("1", 100, "99.40")
    aside = client.order("1", 100, "99.60", tif="1")
    until = client.order("1", 100, "99.30", tif="6", t126="20131008-14:00:00")
    assert client.states(4) == ["00"] * 4
    hall.command("done_for_day", cl_ord_id=aside)
    assert client.states(1) == ["33"]
    tape.batch(("IBM", ("99.00", 10, "99.55", 10)), after=timedelta(days=1))
    reports = [client.message() for _ in range(8)]
    found = sorted((r["11"], r["150"] + r["39"]) for r in reports)
    assert [f for f in found if f[0] == kept] == [(kept, "33"), (kept, "D0")]
    assert [f for f in found if f[0] == aside] == [(aside, "D0"), (aside, "F1")]
    assert (until, "CC") in found
    tape.batch(("IBM", ("99.00", 10, "99.50", 30)))
    fill = client.message()
    assert (fill["11"], fill["32"]) == (aside, "30")


def test_venue_halt_refuses_orders_and_keeps_those_it_has(hall: Hall, client: Client) -> None:
    order = client.order("1", 100, "99.99")
    assert client.states(1) == ["00"]
    assert hall.command("halt", symbol="IBM") == "1 books"
    hall.tape.batch(("IBM", ("99.90", 10, "99.95", 60)))
    client.order("1", 10)
    refused = client.message()
    assert (refused["150"], refused["103"], refused["58"]) == ("8", "2", "trading is halted")
    assert client.ask(order)["14"] == "0"
    hall.venue.kill()
    client.event("logout")
    hall.venue.start()
    client.event("logon")
    assert client.ask(order)["39"] == "0"
    hall.command("resume", symbol="IBM")
    fill = client.message()
    assert (fill["11"], fill["14"]) == (order, "60")
    assert hall.command("halt", symbol="NONE") == "refused: unknown symbol NONE"


def test_venue_halt_is_told_to_those_who_ask_for_the_status(hall: Hall, client: Client) -> None:
    client.order("1", 100, "99.00")
    assert client.states(1) == ["00"]
    client.send(t35="e", t324="S1", t55="IBM", t263="1")
    assert client.message()["326"] == "17"
    for command, status in (("halt", "2"), ("auction", "1"), ("resume", "17")):
        hall.command(command, symbol="IBM")
        told = client.message()
        assert (told["35"], told["55"], told["326"]) == ("f", "IBM", status)


def test_venue_auction_by_command_trades_at_one_price(hall: Hall, tape: Market) -> None:
    tape.batch(("IBM", ("90.00", 1, "110.00", 1)))
    hall.open()
    buyer, seller = hall.connect(), hall.connect("OTHER")
    buyer.order("1", 10, "91.00")
    assert buyer.states(1) == ["00"]
    hall.command("auction", symbol="IBM")
    first = buyer.order("1", 100, "101.00")
    assert buyer.states(1) == ["00"]
    seller.order("2", 60, "99.00")
    assert seller.states(1) == ["00"]
    hall.command("uncross", symbol="IBM")
    bought, sold = buyer.message(), seller.message()
    assert bought["31"] == sold["31"]
    assert (bought["11"], bought["32"], sold["39"]) == (first, "60", "2")


def test_venue_opening_and_closing_auctions_keep_their_hours(hall: Hall, tape: Market) -> None:
    hall.configure(
        opening_auction=True, opens_at="10:30:05", closing_auction=True, closes_at="10:31:00"
    )
    hall.open()
    buyer, seller = hall.connect(), hall.connect("OTHER")
    tape.batch(("IBM", ("90.00", 1, "110.00", 1)))
    opening = buyer.order("1", 100, "101.00", tif="2")
    closing = buyer.order("1", 50, "102.00", tif="7")
    assert buyer.states(2) == ["00", "00"]
    seller.order("2", 60, "99.00")
    assert seller.states(1) == ["00"]
    tape.batch(("IBM", ("90.00", 2, "110.00", 2)), after=timedelta(seconds=10))
    reports = [buyer.message(), buyer.message()]
    assert [(r["11"], r["150"], r["14"]) for r in reports] == [
        (opening, "F", "60"),
        (opening, "C", "60"),
    ]
    assert seller.states(1) == ["F2"]
    tape.batch(("IBM", ("90.00", 1, "110.00", 1)), after=timedelta(minutes=1))
    seller.order("2", 20, "99.00")
    assert seller.states(1) == ["00"]
    tape.close()
    reports = [buyer.message(), buyer.message()]
    assert [(r["11"], r["150"], r["14"]) for r in reports] == [
        (closing, "F", "20"),
        (closing, "C", "20"),
    ]
    assert seller.states(1) == ["F2"]


def test_venue_wrong_password_is_refused_with_a_text(hall: Hall, tape: Market) -> None:
    secret = hall.venue.home / "secret"
    secret.write_text("from a file\n")
    hall.admit("TSDB", username="trader", password_hash=hash_password("right"))
    hall.admit("OLD", password_hash=hash_password("right"))
    hall.admit("NEW", password_from=f"file:{secret}")
    hall.open(newest=True)
    for comp_id, begin, wrong in (
        ("TSDB", "FIX.4.4", {"t553": "trader", "t554": "wrong"}),
        ("OLD", "FIX.4.2", {"t95": "5", "t96": "wrong"}),
    ):
        refused = hall.dial(comp_id, begin, **wrong)
        logout = refused.message()
        assert logout["35"] == "5"
        assert "wrong password" in logout["58"]
        refused.stop()
    assert hall.connect("NEW", "FIXT.1.1", t553="any", t554="from a file").order("1", 1)
    assert hall.connect("TSDB", t553="trader", t554="right").order("1", 1)
    assert hall.connect("OLD", "FIX.4.2", t95="5", t96="right").order("1", 1)


def test_venue_throttle_rejects_what_is_too_much(hall: Hall, tape: Market) -> None:
    hall.configure(throttle_messages=2)
    tape.batch(("IBM", QUOTE))
    hall.open()
    client = hall.connect()
    orders = [client.order("1", 1, "99.00") for _ in range(3)]
    client.cancel(orders[0])
    assert client.states(2) == ["00", "00"]
    rejected, refused = client.message(), client.message()
    assert (rejected["11"], rejected["39"], rejected["103"]) == (orders[2], "8", "99")
    assert rejected["58"] == "more than 2 requests per second"
    assert (refused["35"], refused["102"], refused["39"]) == ("9", "99", "0")


def test_venue_throttle_delays_in_order_also_over_a_restart(hall: Hall, tape: Market) -> None:
    hall.configure(throttle_messages=1, throttle_mode="delay")
    tape.batch(("IBM", QUOTE))
    hall.open()
    client = hall.connect()
    orders = [client.order("1", 1, "99.00") for _ in range(4)]
    assert client.message()["11"] == orders[0]
    # Its answer comes at once, after the venue has taken the others.
    client.ask("nobody")
    hall.venue.kill()
    client.event("logout")
    hall.venue.start()
    assert [client.message()["11"] for _ in range(3)] == orders[1:]


def test_venue_orders_end_with_the_connection_where_that_is_wanted(
    hall: Hall, tape: Market
) -> None:
    tape.batch(("IBM", QUOTE))
    hall.configure(cancel_on_disconnect=True)
    hall.admit("OTHER", cancel_on_disconnect=False)
    hall.open()
    client, other = hall.connect(), hall.connect("OTHER")
    order, kept = client.order("1", 10, "99.00"), other.order("1", 10, "99.00")
    assert client.states(1) + other.states(1) == ["00", "00"]
    client.stop()
    again = hall.connect()
    gone = again.message(repeats=True)
    assert (gone["11"], gone["39"], gone["58"]) == (order, "4", "the participant disconnected")
    assert other.ask(kept)["39"] == "0"
    held = again.order("1", 10, "99.00", cl_ord_id="held")
    assert again.states(1) == ["00"]
    hall.venue.kill()
    again.event("logout")
    hall.venue.start()
    assert again.message()["11"] == held


def test_venue_fee_is_reported_by_who_took(hall: Hall, tape: Market) -> None:
    hall.configure(maker_fee="-0.002", taker_fee="0.003", latency_ms=300)
    tape.batch(("IBM", QUOTE))
    hall.open()
    maker, taker = hall.connect(), hall.connect("OTHER")
    maker.order("1", 100, "100.01")
    assert maker.states(1) == ["00"]
    taker.order("2", 100, "100.01")
    assert taker.states(1) == ["00"]
    made, took = maker.message(), taker.message()
    assert (made["12"], made["13"], took["12"], took["13"]) == ("-0.2", "3", "0.3", "3")
    fees = hall.conn.execute("select sum(fee) from venue.executions").fetchone()
    assert fees is not None
    assert str(fees[0]) == "0.100"
