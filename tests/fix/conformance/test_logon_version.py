"""The application version of a FIXT session: chosen at logon, checked in every message."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from fix.conformance.wire import PROFILES, TEXT, Profile, Wire, stamp

pytestmark = pytest.mark.slow


@pytest.fixture
def profile() -> Profile:
    return PROFILES[-1]


def test_logon_without_an_application_version_ends_the_connection(wire: Wire) -> None:
    wire.connect()
    wire.send_logon({1137: ""})
    wire.expect_end()
    wire.sent = 0
    wire.log_on()


@pytest.mark.parametrize("version", ["7", "99"], ids=["of another dictionary", "unknown to FIX"])
def test_logon_with_a_version_that_is_not_served_gets_a_logout(wire: Wire, version: str) -> None:
    wire.connect()
    wire.send_logon({1137: version})
    wire.expect("5", {58: TEXT})
    wire.expect_end()


def test_message_of_a_version_that_is_not_served_is_rejected(wire: Wire) -> None:
    wire.log_on()
    wire.send("D", {1128: "6", 11: "A1", 54: "1", 55: "IBM", 40: "1", 38: "1", 60: stamp()})
    wire.expect_reject(2, "D", 18, 1128)
    wire.expect_alive()


def test_message_of_the_version_that_is_served_is_taken(
    participant: Callable[..., Wire],
) -> None:
    echo = participant("ECHO")
    echo.log_on()
    order = {11: "A1", 38: "1", 40: "1", 54: "1", 55: "IBM", 60: stamp()}
    echo.send("D", {1128: "9", **order})
    echo.expect("D", {1128: "9", **order})
