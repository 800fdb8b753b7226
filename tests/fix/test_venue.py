"""The simulated venue over FIX: a real client, a real process, a real journal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest

from fix.simvenue.bench import WAIT_S, Client, Market, Venue, free_port

pytestmark = pytest.mark.slow
QUOTE = ("100.00", 500, "100.02", 300)


@pytest.fixture
def market(conn: psycopg.Connection) -> Market:
    market = Market(conn)
    market.list("IBM")
    return market


@pytest.fixture
def venue(role_url: Callable[[str | None], str], tmp_path: Path) -> Iterator[Venue]:
    venue = Venue(role_url("tsdb_venue"), tmp_path, free_port())
    venue.start()
    yield venue
    venue.stop()


@pytest.fixture
def connect_client(venue: Venue, market: Market) -> Iterator[Callable[[str], Client]]:
    clients: list[Client] = []

    def connect(comp_id: str = "TSDB") -> Client:
        client = Client(venue.home, venue.port, comp_id, market.session_id)
        clients.append(client)
        client.start()
        client.event("logon")
        return client

    try:
        yield connect
    finally:
        for client in clients:
            client.stop()


@pytest.fixture
def client(connect_client: Callable[[str], Client]) -> Client:
    return connect_client("TSDB")


def kinds(client: Client, count: int) -> list[str]:
    """Return ExecType/OrdStatus of the next messages."""
    found = [client.message() for _ in range(count)]
    return [f"{m.get('150', '-')}{m['39']}" for m in found]


def book_agrees(conn: psycopg.Connection) -> bool:
    """Say whether each order's quantity is the sum of its executions."""
    row = conn.execute(
        "select count(*) from venue.orders o where o.cumulative_quantity <> (select "
        "coalesce(sum(e.quantity), 0) from venue.executions e where e.order_no = o.order_no)"
    ).fetchone()
    return row == (0,)


def test_venue_market_order_is_acknowledged_and_filled_at_the_quote(
    client: Client, market: Market, conn: psycopg.Connection
) -> None:
    market.batch(("IBM", QUOTE))
    cl_ord_id = client.order("1", 200)
    new, fill = client.message(), client.message()
    assert (new["150"], new["39"], new["151"]) == ("0", "0", "200")
    assert (fill["150"], fill["39"], fill["32"], fill["31"]) == ("F", "2", "200", "100.02")
    assert (fill["14"], fill["151"], fill["6"]) == ("200", "0", "100.02")
    assert fill["11"] == cl_ord_id
    assert fill["60"] == "20131007-14:30:01.000"
    assert fill["75"] == "20131007"
    assert fill["336"] == str(market.session_id)
    assert new["17"] != fill["17"]
    row = conn.execute("select exec_id, quantity, price, ts from venue.executions").fetchall()
    assert [(r[0], str(r[1]), str(r[2]), r[3]) for r in row] == [
        (fill["17"], "200", "100.0200", market.now)
    ]


def test_venue_market_remainder_waits_for_the_next_quotes(client: Client, market: Market) -> None:
    market.batch(("IBM", QUOTE))
    client.order("5", 700)
    assert kinds(client, 2) == ["00", "F1"]
    market.batch(("IBM", ("99.98", 50, "100.02", 300)), ("IBM", ("99.97", 900, "100.02", 300)))
    fills = [client.message(), client.message()]
    assert [(f["32"], f["31"], f["39"]) for f in fills] == [
        ("50", "99.98", "1"),
        ("150", "99.97", "2"),
    ]


def test_venue_resting_limit_fills_at_its_limit_then_cancel_is_too_late(
    client: Client, market: Market
) -> None:
    market.batch(("IBM", QUOTE))
    order = client.order("1", 100, "99.99")
    assert kinds(client, 1) == ["00"]
    market.batch(("IBM", ("99.95", 1, "99.96", 60)))
    market.batch(("IBM", ("99.95", 1, "99.96", 61)))
    fills = [client.message(), client.message()]
    assert [(f["32"], f["31"]) for f in fills] == [("60", "99.99"), ("40", "99.99")]
    client.cancel(order)
    answer = client.message()
    assert (answer["35"], answer["102"], answer["39"], answer["41"]) == ("9", "0", "2", order)


def test_venue_cancel_of_a_working_order_is_confirmed(client: Client, market: Market) -> None:
    market.batch(("IBM", QUOTE))
    order = client.order("1", 400, "100.02")
    assert kinds(client, 2) == ["00", "F1"]
    cancel = client.cancel(order)
    answer = client.message()
    assert (answer["150"], answer["39"], answer["14"], answer["151"]) == ("4", "4", "300", "0")
    assert (answer["11"], answer["41"]) == (cancel, order)
    status = client.ask(order)
    assert (status["150"], status["39"], status["14"]) == ("I", "4", "300")


def test_venue_cancel_of_an_unknown_order_is_rejected(client: Client, market: Market) -> None:
    client.cancel("never-sent")
    answer = client.message()
    assert (answer["35"], answer["102"], answer["37"], answer["39"]) == ("9", "1", "NONE", "8")


@pytest.mark.parametrize(("tif", "expected"), [("3", ["00", "F1", "44"]), ("4", ["00", "44"])])
def test_venue_immediate_order_larger_than_the_display_is_cancelled(
    client: Client, market: Market, tif: str, expected: list[str]
) -> None:
    market.batch(("IBM", QUOTE))
    client.order("1", 301, "100.02", tif=tif)
    assert kinds(client, len(expected)) == expected


def test_venue_fill_or_kill_within_the_display_fills(client: Client, market: Market) -> None:
    market.batch(("IBM", QUOTE))
    client.order("1", 300, tif="4")
    assert kinds(client, 2) == ["00", "F2"]


def test_venue_bad_orders_are_rejected_with_their_reason(client: Client, market: Market) -> None:
    market.list("AIG")
    market.batch(("IBM", QUOTE))
    unknown = uuid4()
    for arguments, reason, text in (
        ({"symbol": "NONE"}, "1", "unknown symbol NONE"),
        ({"symbol": "AIG"}, "99", "no market"),
        ({"session": unknown}, "99", f"session {unknown} is unknown or closed"),
        ({"session": "day"}, "99", "TradingSessionID (336) 'day' is no session id"),
        ({"limit": "100.005"}, "99", "price 100.005 is no multiple of 0.01"),
        ({"quantity": "1.5"}, "13", "quantity 1.5 is no multiple of 1"),
        ({"quantity": "0"}, "13", "OrderQty (38) 0 is not positive"),
        ({"quantity": "1" + "0" * 40}, "13", "quantity 1" + "0" * 40 + " is too large"),
        ({"side": "3"}, "11", "Side (54) '3' is not supported"),
        ({"tif": "5"}, "11", "TimeInForce (59) '5' is not supported"),
    ):
        order = client.order(**{"side": "1", "quantity": 1, **arguments})  # type: ignore[arg-type]
        answer = client.message()
        assert (answer["150"], answer["39"], answer["103"]) == ("8", "8", reason)
        assert answer["58"] == text
        assert client.ask(order)["39"] == "8"


def test_venue_order_without_quote_rests(client: Client, market: Market) -> None:
    client.order("1", 10, "100.00")
    assert kinds(client, 1) == ["00"]
    market.batch(("IBM", ("99", 10, "99.5", 10)))
    assert client.message()["31"] == "100"


def test_venue_duplicate_order_is_rejected_unless_possible_resend(
    client: Client, market: Market, conn: psycopg.Connection
) -> None:
    market.batch(("IBM", QUOTE))
    order = client.order("1", 10)
    assert kinds(client, 2) == ["00", "F2"]
    client.order("1", 10, cl_ord_id=order)
    answer = client.message()
    assert (answer["150"], answer["39"], answer["103"]) == ("8", "8", "6")
    client.order("1", 10, cl_ord_id=order, header={"97": "Y"})
    answer = client.message()
    assert (answer["150"], answer["39"], answer["14"]) == ("I", "2", "10")
    client.order("1", 10, cl_ord_id="first-seen", header={"97": "Y"})
    assert kinds(client, 2) == ["00", "F2"]
    assert conn.execute("select count(*) from venue.executions").fetchone() == (2,)


def test_venue_status_request_of_known_and_unknown_orders(client: Client, market: Market) -> None:
    market.batch(("IBM", QUOTE))
    order = client.order("1", 10, "99.00")
    assert kinds(client, 1) == ["00"]
    answer = client.ask(order)
    assert (answer["150"], answer["39"], answer["151"]) == ("I", "0", "10")
    answer = client.ask("nobody")
    assert (answer["150"], answer["39"], answer["103"]) == ("I", "8", "5")
    assert answer["58"] == "unknown order"


def test_venue_unsupported_message_is_refused(client: Client, market: Market) -> None:
    client.send(t35="Q", t37="1", t17="1", t127="A", t55="IBM", t54="1")
    answer = client.message()
    assert (answer["35"], answer["372"], answer["380"]) == ("j", "Q", "3")


def test_venue_two_participants_trade_with_each_other(
    client: Client, connect_client: Callable[[str], Client], market: Market
) -> None:
    market.batch(("IBM", QUOTE))
    other = connect_client("OTHER")
    other.order("2", 30, "100.01")
    assert kinds(other, 1) == ["00"]
    client.order("1", 50, "100.01")
    fills = [client.message(), client.message()]
    assert (fills[1]["32"], fills[1]["31"], fills[1]["39"]) == ("30", "100.01", "1")
    assert other.message()["39"] == "2"
    # A ClOrdID belongs to its participant.
    assert other.ask(fills[1]["11"])["39"] == "8"


def test_venue_closed_session_expires_resting_orders(client: Client, market: Market) -> None:
    market.batch(("IBM", QUOTE))
    client.order("1", 10, "99.00")
    assert kinds(client, 1) == ["00"]
    market.close()
    answer = client.message()
    assert (answer["150"], answer["39"]) == ("C", "C")
    client.order("1", 10, "99.00")
    assert kinds(client, 1) == ["88"]


def test_venue_next_trading_day_expires_day_orders(client: Client, market: Market) -> None:
    market.batch(("IBM", QUOTE))
    client.order("1", 10, "99.00")
    assert kinds(client, 1) == ["00"]
    market.batch(("IBM", ("98", 50, "98.5", 50)), after=timedelta(days=1))
    assert kinds(client, 1) == ["CC"]


def test_venue_killed_with_resting_orders_continues_where_it_was(
    client: Client, venue: Venue, market: Market, conn: psycopg.Connection
) -> None:
    market.batch(("IBM", QUOTE))
    first = client.order("1", 350, "100.02")
    second = client.order("1", 20, "100.02")
    assert kinds(client, 3) == ["00", "F1", "00"]
    venue.kill()
    client.event("logout")
    # While the venue is away the market trades through them, and away again.
    market.batch(("IBM", ("99.90", 10, "100.02", 300)))
    market.batch(("IBM", ("99.90", 10, "99.95", 60)), ("IBM", ("100.00", 10, "100.05", 60)))
    venue.start()
    fills = [client.message(), client.message()]
    assert [(f["11"], f["32"], f["31"], f["39"]) for f in fills] == [
        (first, "50", "100.02", "2"),
        (second, "10", "100.02", "1"),
    ]
    unique = conn.execute("select count(*) = count(distinct exec_id) from venue._reports")
    assert unique.fetchone() == (True,)
    assert client.ask(second)["14"] == "10"
    assert book_agrees(conn)


def test_venue_killed_between_journal_and_send_sends_the_report_after_logon(
    client: Client, venue: Venue, market: Market, conn: psycopg.Connection
) -> None:
    market.batch(("IBM", QUOTE))
    order = client.order("1", 10)
    new, fill = client.message(), client.message()
    venue.kill()
    client.event("logout")
    # As if the process had died right after its commit.
    conn.execute("update venue._reports set sent = false where exec_id = %s", (fill["17"],))
    conn.execute("update venue._reports set sent = true where exec_id = %s", (new["17"],))
    venue.start()
    again = client.message(repeats=True)
    assert (again["11"], again["17"], again["97"]) == (order, fill["17"], "Y")
    assert client.ask(order)["39"] == "2"
    assert conn.execute("select count(*) from venue.executions").fetchone() == (1,)


def test_venue_losing_the_database_in_a_callback_ends_and_the_order_comes_again(
    client: Client,
    venue: Venue,
    market: Market,
    conn: psycopg.Connection,
    connect_as: Callable[..., psycopg.Connection],
) -> None:
    market.batch(("IBM", QUOTE))
    assert venue.process is not None
    connect_as("tsdb_venue").execute(
        "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'tsdb_venue' "
        "and datname = current_database() and application_name like '%journal'"
    )
    order = client.order("1", 10)
    assert venue.process.wait(WAIT_S) == 70
    client.event("logout")
    assert conn.execute("select count(*) from venue.orders").fetchone() == (0,)
    assert "venue failed" in venue.log()
    venue.start()
    assert kinds(client, 2) == ["00", "F2"]
    assert client.ask(order)["14"] == "10"
    assert conn.execute("select count(*) from venue.executions").fetchone() == (1,)


def test_venue_killed_in_mid_flow_loses_and_repeats_nothing(
    client: Client, venue: Venue, market: Market, conn: psycopg.Connection
) -> None:
    market.batch(("IBM", ("100.00", 1_000_000, "100.02", 1_000_000)))
    sent = 0
    executions: dict[str, str] = {}
    for _ in range(4):
        for _ in range(40):
            client.order("1" if sent % 2 else "2", 1 + sent % 7)
            sent += 1
        executions |= {m["17"]: m["11"] for m in (client.message(),) if m["150"] == "F"}
        venue.kill()
        client.event("logout")
        venue.start()
        client.event("logon")
    done = client.order("1", 1)
    while done not in executions.values() or len(set(executions.values())) <= sent:
        message = client.message()
        if message["150"] == "F":
            assert executions.setdefault(message["17"], message["11"]) == message["11"]
    assert len(executions) == sent + 1
    count = conn.execute("select count(*), count(distinct cl_ord_id) from venue.executions")
    assert count.fetchone() == (sent + 1, sent + 1)
    assert book_agrees(conn)


def test_venue_second_process_is_refused_while_the_first_lives(
    client: Client, venue: Venue, conn: psycopg.Connection
) -> None:
    row = conn.execute("select pg_try_advisory_lock(hashtextextended('venue SIM', 0))").fetchone()
    assert row == (False,)


def test_venue_asked_to_stop_ends_cleanly(client: Client, venue: Venue, market: Market) -> None:
    market.batch(("IBM", QUOTE))
    client.order("1", 10)
    assert kinds(client, 2) == ["00", "F2"]
    assert venue.stop() == 0
    client.event("logout")


def test_venue_role_cannot_read_orders(connect_as: Callable[..., psycopg.Connection]) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        connect_as("tsdb_venue").execute("select * from oms.orders")


def test_venue_repeated_cancel_is_answered_with_the_order_or_refused_again(
    client: Client, market: Market
) -> None:
    again = {"97": "Y"}
    market.batch(("IBM", QUOTE))
    order = client.order("1", 10, "99.00")
    assert kinds(client, 1) == ["00"]
    cancel = client.cancel(order, again)
    assert kinds(client, 1) == ["44"]
    client.cancel(order, again, cancel)
    status = client.message()
    assert (status["150"], status["39"], status["11"], status["41"]) == ("I", "4", cancel, order)
    filled = client.order("1", 10)
    assert kinds(client, 2) == ["00", "F2"]
    for original, reason in ((filled, "0"), (order, "0"), ("never-sent", "1")):
        name = client.cancel(original, again)
        answer = client.message()
        assert (answer["35"], answer["102"], answer["11"]) == ("9", reason, name)


def test_venue_answer_echoes_the_id_of_the_question(client: Client, market: Market) -> None:
    market.batch(("IBM", QUOTE))
    order = client.order("1", 10, "99.00")
    assert kinds(client, 1) == ["00"]
    for known in (order, "nobody"):
        client.send(t35="H", t11=known, t55="IBM", t54="1", t790=f"Q-{known}")
        assert client.message()["790"] == f"Q-{known}"
