"""Several venues in one process, each with its own way of matching, its own books and journal."""

from __future__ import annotations

import pytest

from fix.conftest import Hall
from fix.simvenue.bench import Client, Market

pytestmark = pytest.mark.slow
QUOTE = ("100.00", 500, "100.02", 300)


def test_venue_process_hosts_three_venues_that_share_no_book(hall: Hall, tape: Market) -> None:
    tape.batch(("IBM", QUOTE))
    hall.open("SIM", "SIMPR", "SIMDARK")
    lit, rata = hall.connect(), hall.connect(target="SIMPR")
    dark, other = hall.connect(target="SIMDARK"), hall.connect("OTHER", target="SIMDARK")
    for client in (lit, rata):
        client.order("1", 10, "100.01")
        assert client.states(1) == ["00"]
    dark.order("1", 300, "100.02", t110="100")
    assert dark.states(1) == ["00"]
    other.order("2", 60, "100.00")
    assert other.states(1) == ["00"]
    big = other.order("2", 200, "100.00")
    assert other.states(1) == ["00"]
    bought = [dark.message()]
    while bought[-1]["14"] != "260" and bought[-1]["14"] != "200":
        bought.append(dark.message())
    assert {b["31"] for b in bought} == {"100.01"}
    assert other.message()["31"] == "100.01"
    assert lit.ask(big)["39"] == "8"
    venues = hall.conn.execute("select venue, count(*) from venue.orders group by 1 order by 1")
    assert venues.fetchall() == [("SIM", 1), ("SIMDARK", 3), ("SIMPR", 1)]
    hall.venue.kill()
    for client in (lit, rata, dark, other):
        client.event("logout")
    hall.venue.start()
    for client in (lit, rata):
        client.event("logon")
        assert client.ask(f"{client.comp_id}-1")["39"] == "0"


def enter(client: Client, tif: str, **terms: object) -> str:
    """Enter an order that rests, and return its ClOrdID."""
    limit = terms.pop("limit", None)
    order = client.order(str(terms.pop("side")), terms.pop("quantity"), limit, tif=tif, **terms)
    assert client.states(1) == ["00"]
    return order


def test_venue_killed_with_every_kind_of_order_restores_the_same_books(
    hall: Hall, tape: Market
) -> None:
    tape.batch(("IBM", QUOTE))
    hall.configure(pending_ms=None, maker_fee="0.001")
    hall.open()
    client, other = hall.connect(), hall.connect("OTHER")
    stop = enter(client, "1", side="1", quantity=10, t40="3", t99="100.05")
    stop_limit = enter(client, "0", side="1", quantity=20, limit="100.20", t40="4", t99="100.10")
    iceberg = enter(client, "1", side="2", quantity=100, limit="100.02", t111="10")
    plain = enter(other, "0", side="2", quantity=30, limit="100.02")
    pegged = enter(client, "6", side="1", quantity=40, t40="P", t18="R", t126="20131009-00:00:00")
    posted = enter(client, "0", side="1", quantity=50, limit="99.98", t18="6")
    minimum = enter(client, "0", side="1", quantity=60, limit="99.97", t110="20")
    # The tip of the iceberg trades, so that its next part stands behind the plain order.
    taker = other.order("1", 310, "100.02")
    assert other.states(2)[0] == "00"
    before = books(hall)
    hall.venue.kill()
    client.event("logout")
    hall.venue.start()
    client.event("logon")
    assert books(hall) == before
    tape.batch(("IBM", ("100.01", 5, "100.02", 300)), ("IBM", ("100.06", 500, "100.08", 300)))
    names = {stop, stop_limit, iceberg, plain, pegged, posted, minimum, taker}
    done = {o for o in names if settled(client, other, o)}
    assert stop in done
    assert stop_limit not in done
    hall.venue.kill()
    client.event("logout")
    hall.venue.start()
    client.event("logon")
    rows = hall.conn.execute(
        "select count(*) from venue.orders o where o.cumulative_quantity <> (select "
        "coalesce(sum(e.quantity), 0) from venue.executions e where e.order_no = o.order_no)"
    ).fetchone()
    assert rows == (0,)


def books(hall: Hall) -> list[tuple[object, ...]]:
    """Return what is journaled of orders and books."""
    orders = hall.conn.execute(
        "select order_no, status, rank, cumulative_quantity, book::text from venue._orders "
        "where status not in ('filled', 'cancelled') order by 1"
    ).fetchall()
    state = hall.conn.execute(
        "select next_rank, bid_left, ask_left, state::text from venue._books"
    ).fetchall()
    return [*orders, *state]


def settled(client: Client, other: Client, order: str) -> bool:
    """Say whether an order is filled, by asking for it."""
    asked = client if order.startswith(client.comp_id) else other
    asked.send(t35="H", t11=order, t55="IBM", t54="1", t790=order)
    while True:
        answer = asked.message()
        if answer.get("790") == order:
            return answer["39"] == "2"
