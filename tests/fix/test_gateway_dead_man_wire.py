"""What the dead-man's switch puts on the wire where there is no mass cancel, or it is refused."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from fix.harness import Desk, Gateway, Proxy, until
from fix.raw_venue import RawVenue
from fix.trading import SENDERS

pytestmark = pytest.mark.slow
TIME = (60, "20131008-14:30:01.000")
Asked = dict[int, str]
Refusal = Callable[[RawVenue, Asked], None]


def report(venue: RawVenue, version: str, asked: Asked, status: str) -> None:
    """Report what became of a request, without a fill."""
    old = [(20, "0")] if version == "FIX.4.2" else []
    original = [(41, asked[41])] if 41 in asked else []
    venue.send(
        "8",
        (37, f"V{asked[11]}"),
        (11, asked[11]),
        (17, f"E-{asked[11]}-{status}"),
        *old,
        (150, status),
        (39, status),
        (55, "IBM"),
        (54, asked[54]),
        (38, 100),
        (151, 100 if status == "0" else 0),
        (14, 0),
        (6, 0),
        TIME,
        *original,
    )


def work(venue: RawVenue, version: str, desk: Desk, count: int) -> dict[str, Asked]:
    """Have so many orders work at the venue; return them by ClOrdID."""
    orders = [desk.submit(limit_price=f"99.{90 + n}") for n in range(count)]
    found = {}
    for _ in orders:
        asked = venue.message("D")
        found[asked[11]] = asked
        report(venue, version, asked, "0")
    until(
        lambda: [desk.status(order) for order in orders] == ["new"] * count,
        "the orders to be acknowledged",
    )
    return found


def singly(venue: RawVenue, version: str, orders: dict[str, Asked]) -> None:
    """Expect one cancel per order, each under a name of its own, and nothing else; do them."""
    cancels = [venue.message("F") for _ in orders]
    assert sorted(c[41] for c in cancels) == sorted(orders)
    names = [c[11].partition("-DM-") for c in cancels]
    assert {mark for _, mark, _ in names} == {"-DM-"}
    assert len({rest for _, _, rest in names}) == len(orders)
    for cancel in cancels:
        order = orders[cancel[41]]
        assert (cancel[55], cancel[54], cancel[38]) == ("IBM", order[54], "100")
        # The venue's name for it is told if we had read it before the database went.
        assert cancel.get(37) in (None, f"V{cancel[41]}")
    assert venue.received.empty()
    for cancel in cancels:
        report(venue, version, cancel, "4")


def find_again(desk: Desk, line: Proxy, gateway: Gateway, asked: int = 1) -> None:
    """Bring the database back, and find an alert for each time the venue was asked.

    It is asked once more when the worker waits too long before it looks at a database that is back,
    and the process ends when the lease is over by then.
    """
    line.mend()

    def told() -> bool:
        if gateway.process.poll() is not None:
            gateway.start()
        return desk.alerts().count("dead_man") >= asked

    until(told, f"{asked} alerts: {gateway.log()[-2000:]}")


def start(gateway: Gateway, desk: Desk, port: int, version: str, **settings: object) -> None:
    desk.configure(version=version, sender=SENDERS[version], port=port, silence_s=3, **settings)
    gateway.patience_s = 300.0
    gateway.start()
    gate = "select detail->>'gate' from ops.heartbeats where worker = 'fix:SIM'"
    until(
        lambda: desk.conn.execute(gate).fetchall() == [("open",)],
        f"the gate to open: {gateway.log()[-2000:]}",
    )


def test_switch_of_a_version_without_mass_cancel_cancels_order_by_order(
    listen: Callable[[str, int], RawVenue], port: int, desk: Desk, gateway: Gateway, line: Proxy
) -> None:
    version = "FIX.4.2"
    venue = listen(version, port)
    start(gateway, desk, port, version, has_mass_cancel=True)
    orders = work(venue, version, desk, 3)
    line.cut()
    singly(venue, version, orders)
    find_again(desk, line, gateway)


def test_switch_of_a_venue_without_mass_cancel_cancels_order_by_order_at_its_throttle(
    listen: Callable[[str, int], RawVenue], port: int, desk: Desk, gateway: Gateway, line: Proxy
) -> None:
    version = "FIX.4.4"
    venue = listen(version, port)
    start(gateway, desk, port, version, throttle_per_s=2)
    orders = work(venue, version, desk, 4)
    line.cut()
    singly(venue, version, orders)
    find_again(desk, line, gateway)


def _by_report(venue: RawVenue, asked: Asked) -> None:
    venue.send("r", (11, asked[11]), (37, "M1"), (530, "7"), (531, "0"), (532, "0"), TIME)


def _by_business_reject(venue: RawVenue, asked: Asked) -> None:
    venue.send("j", (45, asked[34]), (372, "q"), (380, "3"), (58, "not here"))


def _by_session_reject(venue: RawVenue, asked: Asked) -> None:
    venue.send("3", (45, asked[34]), (372, "q"), (373, "11"), (58, "not here"))


@pytest.mark.parametrize("refuse", [_by_report, _by_business_reject, _by_session_reject])
def test_switch_whose_mass_cancel_the_venue_refuses_cancels_order_by_order(
    listen: Callable[[str, int], RawVenue],
    port: int,
    desk: Desk,
    gateway: Gateway,
    line: Proxy,
    refuse: Refusal,
) -> None:
    version = "FIX.4.4"
    venue = listen(version, port)
    start(gateway, desk, port, version, has_mass_cancel=True)
    orders = work(venue, version, desk, 2)
    line.cut()
    asked = venue.message("q")
    assert asked[530] == "7"
    assert "-DM-" in asked[11]
    refuse(venue, asked)
    singly(venue, version, orders)
    find_again(desk, line, gateway, asked=2)
