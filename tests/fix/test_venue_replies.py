"""What the venue answers, in every version of FIX it speaks; clients check the dictionaries."""

from __future__ import annotations

import pytest

from fix.conftest import Hall
from fix.simvenue.bench import Client, Market

pytestmark = pytest.mark.slow
QUOTE = ("100.00", 500, "100.02", 300)
VERSIONS = [("OLD", "FIX.4.2"), ("TSDB", "FIX.4.4"), ("NEW", "FIXT.1.1")]


def trade(begin: str, status: str) -> str:
    """Return ExecType and OrdStatus of a trade."""
    return f"{status if begin == 'FIX.4.2' else 'F'}{status}"


@pytest.mark.parametrize(("comp_id", "begin"), VERSIONS)
def test_venue_order_life_is_reported_as_the_version_has_it(
    hall: Hall, tape: Market, comp_id: str, begin: str
) -> None:
    tape.batch(("IBM", QUOTE))
    hall.open(newest=begin == "FIXT.1.1")
    client = hall.connect(comp_id, begin)
    first = client.order("1", 400, "100.02", tif="1")
    new, fill = client.message(), client.message()
    assert (new["150"] + new["39"], new["44"], new["59"]) == ("00", "100.02", "1")
    assert fill["150"] + fill["39"] == trade(begin, "1")
    assert (fill["32"], fill["151"], fill["14"]) == ("300", "100", "300")
    assert fill.get("20") == ("0" if begin == "FIX.4.2" else None)
    second = client.replace(first, "1", 500, "100.01", tif="1")
    replaced = client.message()
    assert (replaced["150"], replaced["11"], replaced["41"]) == ("5", second, first)
    assert (replaced["38"], replaced["44"], replaced["151"]) == ("500", "100.01", "200")
    answer = client.ask(first)
    assert (answer["11"], answer["39"], answer["150"]) == (
        second,
        "1",
        "1" if begin == "FIX.4.2" else "I",
    )
    third = client.cancel(second)
    gone = client.message()
    assert (gone["150"] + gone["39"], gone["11"], gone["41"]) == ("44", third, second)
    client.replace(second, "1", 600, "100.01", tif="1")
    refusal = client.message()
    assert (refusal["35"], refusal["102"], refusal["434"], refusal["39"]) == ("9", "0", "2", "4")
    client.cancel("nobody")
    assert client.message()["102"] == "1"
    client.order("1", 10, "100.005")
    rejected = client.message()
    assert rejected["150"] + rejected["39"] == "88"
    assert rejected["103"] == ("0" if begin == "FIX.4.2" else "99")


@pytest.mark.parametrize(("comp_id", "begin"), VERSIONS[1:])
def test_venue_mass_requests_are_answered_order_by_order(
    hall: Hall, tape: Market, comp_id: str, begin: str
) -> None:
    tape.list("AIG")
    tape.batch(("IBM", QUOTE), ("AIG", QUOTE))
    hall.open(newest=begin == "FIXT.1.1")
    client = hall.connect(comp_id, begin)
    status = {"t35": "AF", "t584": "S1", "t585": "7"}
    client.send(**status)
    none = client.message()
    assert (none["584"], none["911"], none["912"], none["39"]) == ("S1", "0", "Y", "8")
    orders = [client.order("1", 10, "99.00"), client.order("1", 10, "99.01", symbol="AIG")]
    filled = client.order("1", 5)
    assert len(client.states(4)) == 4
    client.send(**status)
    answers = [client.message(), client.message()]
    assert [a["11"] for a in answers] == orders
    assert [(a["150"], a["584"], a["911"], a["912"]) for a in answers] == [
        ("I", "S1", "2", "N"),
        ("I", "S1", "2", "Y"),
    ]
    client.send(**(status | {"t585": "1", "t55": "AIG"}))
    assert client.message()["11"] == orders[1]
    cancel = {"t35": "q", "t11": "M1", "t60": "20131007-14:30:00.000"}
    client.send(**cancel, t530="1", t55="NONE")
    refusal = client.message()
    assert (refusal["531"], refusal["532"]) == ("0", "1")
    client.send(**(cancel | {"t11": "M2"}), t530="7")
    report, *gone = [client.message() for _ in range(3)]
    assert (report["35"], report["531"], report["533"]) == ("r", "7", "2")
    assert [(g["11"], g["150"], g["39"]) for g in gone] == [(o, "4", "4") for o in orders]
    assert client.ask(filled)["39"] == "2"
    client.send(**(cancel | {"t11": "M3"}), t530="7")
    assert client.message()["533"] == "0"


@pytest.mark.parametrize(("comp_id", "begin"), VERSIONS[1:])
def test_venue_trade_capture_lists_the_trades_that_stand(
    hall: Hall, tape: Market, comp_id: str, begin: str
) -> None:
    tape.batch(("IBM", QUOTE))
    hall.open(newest=begin == "FIXT.1.1")
    client = hall.connect(comp_id, begin)
    request = {"t35": "AD", "t568": "T1", "t569": "0"}
    client.send(**request)
    none = client.message()
    assert (none["35"], none["749"], none["750"], none["748"]) == ("AQ", "0", "1", "0")
    first, second = client.order("1", 30), client.order("2", 40)
    reports = [client.message() for _ in range(4)]
    client.send(**request)
    answer, *trades = [client.message() for _ in range(3)]
    assert (answer["748"], answer["750"]) == ("2", "0")
    assert [(t["11"], t["32"], t["31"], t["54"]) for t in trades] == [
        (first, "30", "100.02", "1"),
        (second, "40", "100", "2"),
    ]
    assert [t["912"] for t in trades] == ["N", "Y"]
    assert [t["17"] for t in trades] == [reports[1]["17"], reports[3]["17"]]
    assert len({t["571"] for t in trades}) == 2
    assert hall.command("bust", exec_id=reports[1]["17"]).endswith("taken back")
    assert client.message()["150"] == "H"
    client.send(**(request | {"t569": "1", "t11": first}))
    assert client.message()["748"] == "0"
    client.send(**(request | {"t569": "4"}))
    assert client.message()["749"] == "8"


def test_venue_requests_that_fix_42_lacks_are_refused(hall: Hall, tape: Market) -> None:
    hall.open()
    client = hall.connect("OLD", "FIX.4.2")
    for fields in (
        {"t35": "AF", "t584": "S1", "t585": "7"},
        {"t35": "q", "t11": "M1", "t530": "7", "t60": "20131007-14:30:00.000"},
        {"t35": "AD", "t568": "T1", "t569": "0"},
    ):
        client.send(**fields)
        assert client.message()["35"] in ("3", "j")


def test_venue_pending_requests_are_decided_later_and_fills_keep_the_old_id(
    hall: Hall, tape: Market
) -> None:
    tape.batch(("IBM", QUOTE))
    hall.configure(pending_ms=1500)
    hall.open()
    client = hall.connect()
    order = client.order("1", 100, "99.99")
    assert client.states(2) == ["A" + "A", "00"]
    asked = client.replace(order, "1", 200, "99.99")
    pending = client.message()
    assert (pending["150"], pending["39"], pending["11"], pending["41"]) == ("E", "E", asked, order)
    refused = client.cancel(order)
    answer = client.message()
    assert (answer["35"], answer["102"], answer["39"], answer["11"]) == ("9", "3", "E", refused)
    tape.batch(("IBM", ("99.90", 10, "99.95", 60)))
    fill = client.message()
    assert (fill["11"], fill["39"], fill["14"], fill["151"]) == (order, "E", "60", "40")
    replaced = client.message()
    assert (replaced["150"], replaced["39"], replaced["38"]) == ("5", "1", "200")
    asked = client.cancel(replaced["11"])
    assert client.states(1) == ["66"]
    tape.batch(("IBM", ("99.90", 10, "99.95", 500)))
    fill = client.message()
    assert (fill["39"], fill["151"], fill["14"]) == ("6", "0", "200")
    late = client.message()
    assert (late["35"], late["102"], late["39"], late["11"]) == ("9", "0", "2", asked)


def test_venue_killed_while_a_request_waits_decides_it_afterwards(hall: Hall, tape: Market) -> None:
    tape.batch(("IBM", QUOTE))
    hall.configure(pending_ms=1500)
    hall.open()
    client = hall.connect()
    order = client.order("1", 100, "99.99")
    assert client.states(2) == ["AA", "00"]
    client.replace(order, "1", 50, "99.99")
    entered = client.order("1", 7, "99.98")
    assert client.states(2) == ["EE", "AA"]
    hall.venue.kill()
    client.event("logout")
    hall.venue.start()
    found: dict[str, dict[str, str]] = {}
    while len(found) < 2:
        # The kill can come before the engine has counted a request: then the client sends it again, and
        # is told how the order stands.
        message = client.message()
        if message["150"] != "I":
            found[message["11"]] = message
    assert {m["150"] for m in found.values()} == {"5", "0"}
    assert found[entered]["39"] == "0"


def test_venue_replacement_rules(hall: Hall, tape: Market) -> None:
    tape.batch(("IBM", QUOTE))
    hall.open()
    client = hall.connect()
    order = client.order("1", 400, "100.02")
    assert client.states(2) == ["00", "F1"]
    lower = client.replace(order, "1", 350, "100.02")
    assert (client.message()["151"]) == "50"
    client.replace(lower, "2", 350, "100.02")
    refused = client.message()
    assert (refused["35"], refused["102"], refused["58"]) == (
        "9",
        "99",
        "a replacement cannot change the side",
    )
    client.replace(lower, "1", 350, "100.02", name=order)
    assert client.message()["102"] == "6"
    again = client.replace(lower, "1", 360, "100.02", name="twice")
    assert client.states(1) == ["51"]
    client.replace(lower, "1", 360, "100.02", name="twice", header={"97": "Y"})
    repeated = client.message()
    assert (repeated["150"], repeated["11"]) == ("I", again)
    # What is executed already leaves nothing to do.
    client.replace(again, "1", 200, "100.02")
    filled = client.message()
    assert (filled["150"], filled["39"], filled["38"], filled["151"]) == ("5", "2", "300", "0")
    crossing = client.order("1", 10, "99.00")
    client.replace(crossing, "1", 10, "100.02")
    assert client.states(2) == ["00", "50"]
    tape.batch(("IBM", ("100.00", 500, "100.02", 301)))
    assert client.message()["39"] == "2"


@pytest.fixture
def two(hall: Hall, tape: Market) -> tuple[Client, Client]:
    tape.batch(("IBM", QUOTE))
    hall.admit("DROP", drop_copy=True)
    hall.open()
    return hall.connect(), hall.connect("DROP")


def test_venue_drop_copy_gets_every_execution_report_and_takes_no_orders(
    two: tuple[Client, Client], hall: Hall
) -> None:
    client, drop = two
    order = client.order("1", 400, "100.02")
    client.send(t35="H", t11=order, t55="IBM", t54="1")
    client.cancel(order)
    reports = [client.message() for _ in range(4)]
    assert [r["150"] for r in reports] == ["0", "F", "I", "4"]
    copies = [drop.message() for _ in range(3)]
    assert {c["797"] for c in copies} == {"Y"}
    assert [c["17"] for c in copies] == [r["17"] for r in reports if r["150"] != "I"]
    drop.order("1", 1)
    assert (drop.message()["380"]) == "6"
    count = hall.conn.execute("select count(*) from venue.executions").fetchone()
    assert count == (1,)
