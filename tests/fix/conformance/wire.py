"""A scripted participant on a bare socket: writes raw messages, compares raw answers tag by tag.

It knows no FIX engine and shares no code with the project. Answers are checked in full: header,
length, checksum, numbering, and that the body has exactly the fields that are expected.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

SOH = "\x01"
WAIT_S = 10.0
# Values that stand for whatever fits, next to plain text that must be equal.
TIME = re.compile(r"\d{8}-\d{2}:\d{2}:\d{2}(\.\d{3,9})?")
TEXT = re.compile(r".+")
Expected = str | int | re.Pattern[str]
Pairs = list[tuple[str, str]]


@dataclass(frozen=True)
class Profile:
    """A FIX version, and what a message must have in it."""

    name: str
    begin_string: str
    version: str = ""

    @property
    def logon(self) -> dict[int, Expected]:
        """Return what a Logon has besides EncryptMethod and HeartBtInt."""
        return {1137: self.version} if self.version else {}

    @property
    def has_late_reasons(self) -> bool:
        """Say whether SessionRejectReason goes beyond 11."""
        return self.begin_string > "FIX.4.2"


PROFILES = (
    Profile("4.2", "FIX.4.2"),
    Profile("4.4", "FIX.4.4"),
    Profile("5.0SP2", "FIXT.1.1", "9"),
)


def stamp(shift_s: float = 0.0) -> str:
    """Write a UTCTimestamp, so many seconds from now."""
    ts = datetime.now(UTC) + timedelta(seconds=shift_s)
    return f"{ts:%Y%m%d-%H:%M:%S}.{ts.microsecond // 1000:03d}"


def frame(begin_string: str, body: str) -> bytes:
    """Put BeginString, BodyLength and CheckSum around the rest of a message."""
    text = f"8={begin_string}{SOH}9={len(body.encode())}{SOH}{body}".encode()
    return text + b"10=%03d\x01" % (sum(text) % 256)


def pairs(raw: str) -> Pairs:
    """Split a message into (tag, value)."""
    found = [part.partition("=") for part in raw.split(SOH)[:-1]]
    return [(tag, value) for tag, _, value in found]


@dataclass
class Wire:
    """One participant; it may connect several times, and counts both ways.

    `sent` and `received` are the last numbers of each side.
    """

    port: int
    profile: Profile
    sender: str
    target: str = "VENUE"
    sent: int = 0
    received: int = 0
    line: socket.socket | None = None
    data: bytes = field(default=b"", repr=False)

    def connect(self) -> None:
        """Open a connection; the numbers stay."""
        self.line = socket.create_connection(("127.0.0.1", self.port), timeout=WAIT_S)
        self.line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.data = b""

    def close(self) -> None:
        """Close the connection and wait until the venue has noticed."""
        if self.line is not None:
            self.line.shutdown(socket.SHUT_WR)
            while self.line.recv(65_536):
                pass
            self.line.close()
            self.line = None

    # Sending

    def build(self, kind: str, fields: Mapping[int, Expected] | None = None) -> str:
        """Return a message from its MsgType on, numbered next; fields replace or drop tags.

        A value of "" leaves the tag out; header tags are told by `fields` as well.
        """
        given = dict(fields or {})
        header: dict[int, Expected] = {
            35: kind,
            34: self.sent + 1,
            49: self.sender,
            52: stamp(),
            56: self.target,
        }
        for tag in (34, 43, 49, 52, 56, 97, 115, 116, 122, 128, 129, 1128):
            if tag in given:
                header[tag] = given.pop(tag)
        kept = [(tag, value) for tag, value in [*header.items(), *given.items()] if value != ""]
        return "".join(f"{tag}={value}{SOH}" for tag, value in kept)

    def send(self, kind: str, fields: Mapping[int, Expected] | None = None) -> None:
        """Send the next message, and count it if it has the number that is due."""
        body = self.build(kind, fields)
        if fields is None or 34 not in fields:
            self.sent += 1
        self.send_raw(frame(self.profile.begin_string, body))

    def send_raw(self, data: bytes) -> None:
        """Send anything, uncounted."""
        assert self.line is not None
        self.line.sendall(data)

    # Receiving

    def read(self) -> str:
        """Return the next message as it came."""
        assert self.line is not None
        while (end := re.search(rb"\x0110=[^\x01]*\x01", self.data)) is None:
            chunk = self.line.recv(65_536)
            assert chunk, f"the venue hung up after {self.data!r}"
            self.data += chunk
        raw, self.data = self.data[: end.end()], self.data[end.end() :]
        return raw.decode()

    def expect(
        self,
        kind: str,
        fields: Mapping[int, Expected] | None = None,
        *,
        number: int | None = None,
        optional: tuple[int, ...] = (),
    ) -> dict[int, str]:
        """Read a message that must be of this type and have exactly these fields.

        Parameters
        ----------
        number
            The MsgSeqNum it must have; by default the next one, which is counted.
        optional
            Tags that may be there as well.
        """
        raw = self.read()
        found = pairs(raw)
        readable = raw.replace(SOH, "|")
        values = {int(tag): value for tag, value in found}
        assert len(values) == len(found), f"a tag is there twice: {readable}"
        self._check_frame(raw, found)
        if number is None:
            self.received += 1
            number = self.received
        wanted: dict[int, Expected] = {
            35: kind,
            34: number,
            49: self.target,
            52: TIME,
            56: self.sender,
            **(fields or {}),
        }
        body = {tag: value for tag, value in values.items() if tag not in (8, 9, 10)}
        extra = body.keys() - wanted.keys() - set(optional)
        assert not extra, f"unexpected tags {sorted(extra)}: {readable}"
        for tag, value in wanted.items():
            assert tag in body, f"tag {tag} is missing: {readable}"
            assert _fits(body[tag], value), f"tag {tag} should be {value}: {readable}"
        return values

    def _check_frame(self, raw: str, found: Pairs) -> None:
        first, last = [tag for tag, _ in found[:3]], found[-1][0]
        assert (first, last) == (["8", "9", "35"], "10"), raw
        assert found[0][1] == self.profile.begin_string, raw
        start = raw.index(f"{SOH}35=") + 1
        end = raw.rindex(f"{SOH}10=") + 1
        assert int(found[1][1]) == end - start, f"BodyLength is wrong: {raw}"
        assert found[-1][1] == f"{sum(raw[:end].encode()) % 256:03d}", f"CheckSum is wrong: {raw}"

    def expect_end(self) -> None:
        """The venue must close the connection, and say nothing more before."""
        assert self.line is not None
        rest = self.data
        try:
            while chunk := self.line.recv(65_536):
                rest += chunk
        except ConnectionResetError:
            pass
        assert rest == b"", f"nothing more was expected: {rest!r}"
        self.line.close()
        self.line = None

    # What most cases begin and end with

    def log_on(self, fields: Mapping[int, Expected] | None = None) -> None:
        """Connect, log on, and check the answer."""
        self.connect()
        self.send_logon(fields)
        self.expect_logon(fields)

    def send_logon(self, fields: Mapping[int, Expected] | None = None) -> None:
        """Send a Logon; fields replace or drop its own."""
        self.send("A", {98: "0", 108: "30", **self.profile.logon, **(fields or {})})

    def expect_logon(self, fields: Mapping[int, Expected] | None = None) -> None:
        """Expect the answer to a Logon."""
        asked = {tag: v for tag, v in (fields or {}).items() if tag in (108, 141) and v != "N"}
        self.expect("A", {98: "0", 108: "30", **self.profile.logon, **asked})

    def expect_reject(
        self,
        about: int | str,
        kind: str,
        reason: int,
        tag: int | None = None,
        **more: Expected,
    ) -> None:
        """Expect a Reject of the message with that number and type."""
        wanted: dict[int, Expected] = {45: about, 58: TEXT, 372: kind}
        if tag is not None:
            wanted[371] = tag
        if reason <= 11 or self.profile.has_late_reasons:
            wanted[373] = reason
        wanted |= {int(name.removeprefix("t")): value for name, value in more.items()}
        self.expect("3", wanted)

    def expect_alive(self, *, fields: Mapping[int, Expected] | None = None) -> None:
        """Show that nothing is under way and that both sides agree on the numbers."""
        token = f"alive-{self.sent + 1}"
        self.send("1", {112: token, **(fields or {})})
        self.expect("0", {112: token})

    def log_out(self) -> None:
        """Log out properly."""
        self.send("5")
        self.expect("5")
        self.expect_end()


def _fits(value: str, wanted: Expected) -> bool:
    if isinstance(wanted, re.Pattern):
        return wanted.fullmatch(value) is not None
    return value == str(wanted)
