"""One venue process for all cases, with sessions of three versions."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from fix.conformance.wire import PROFILES, Profile, Wire
from fix.simvenue.bench import Venue, free_port
from tsdb_trader import embedded

if TYPE_CHECKING:
    from conftest import Clones

CONFIG = """[DEFAULT]
SenderCompID=VENUE
SocketAcceptPort={port}
SocketNodelay=Y
FileStorePath=store
"""
# Who logs on anew every time, strictly read or not, who goes on counting, and who hears an echo.
SESSIONS = {
    "FRESH": "ResetOnLogon=Y",
    "LENIENT": "ResetOnLogon=Y\nValidateUserDefinedFields=N",
    "COUNTING": "ResetOnLogon=N",
    "ECHO": "ResetOnLogon=Y\nApplication=echo",
}
# The dictionary of 5.0 SP2 takes three seconds to read on an idle machine.
START_S = 60.0


def configuration(port: int, profiles: Sequence[Profile], who: Collection[str]) -> str:
    """Return the venue's file: these sessions in each version."""
    text = CONFIG.format(port=port)
    for profile in profiles:
        own = f"[SESSION]\nBeginString={profile.begin_string}\n"
        if profile.version:
            own += f"DefaultApplVerID={profile.version}\n"
        text += "".join(f"{own}TargetCompID={name}\n{SESSIONS[name]}\n" for name in who)
    return text


def start(url: str, home: Path, profiles: Sequence[Profile], who: Collection[str]) -> Venue:
    """Start a venue process with the file."""
    path = home / "venue.cfg"
    venue = Venue(url, home, free_port(), sessions=path, patience_s=START_S)
    path.write_text(configuration(venue.port, profiles, who))
    venue.start()
    return venue


@pytest.fixture(scope="session")
def venue(
    server: embedded.Server, clones: Clones, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Venue]:
    """Return the venue of all cases."""
    database = clones.take()
    url = server.url("tsdb_venue", database=database)
    venue = start(url, tmp_path_factory.mktemp("venue"), PROFILES, SESSIONS)
    yield venue
    venue.stop()
    clones.give_back(database)


@pytest.fixture
def own_venue(
    role_url: Callable[[str | None], str], tmp_path: Path, profile: Profile
) -> Iterator[Venue]:
    """Return a venue that a test may stop and start, with one session that goes on counting."""
    venue = start(role_url("tsdb_venue"), tmp_path, [profile], ["COUNTING"])
    yield venue
    venue.stop()


@pytest.fixture(params=PROFILES, ids=lambda p: p.name)
def profile(request: pytest.FixtureRequest) -> Profile:
    """Return each version in turn."""
    found: Profile = request.param
    return found


@pytest.fixture
def participant(profile: Profile, venue: Venue) -> Iterator[Callable[..., Wire]]:
    """Return a function that makes participants, whose connections end with the test."""
    made: list[Wire] = []

    def make(sender: str = "FRESH", **more: str) -> Wire:
        made.append(Wire(venue.port, profile, sender, **more))
        return made[-1]

    yield make
    for wire in made:
        wire.close()


@pytest.fixture
def wire(participant: Callable[..., Wire]) -> Wire:
    """Return a participant that counts anew with every logon."""
    return participant()


@pytest.fixture
def counting(participant: Callable[..., Wire]) -> Wire:
    """Return a participant whose numbers go on; they begin at 1 with its first logon here."""
    made = participant("COUNTING")
    made.log_on({141: "Y"})
    return made


@pytest.fixture
def echo(participant: Callable[..., Wire]) -> Wire:
    """Return a participant that is logged on and hears an echo of its orders."""
    made = participant("ECHO")
    made.log_on()
    return made
