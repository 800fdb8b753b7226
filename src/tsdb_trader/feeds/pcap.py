"""Captures (pcap, pcapng) of TotalView-ITCH 5.0 over MoldUDP64.

A row is a message, or a packet that holds none that can be read: other protocols are counted and
kept in quarantine, packet by packet. Messages are brought into the sequence of their session
first: what came twice (over a network's two lines, say) is dropped and counted, what is missing
counts as rows that never came and is a row of market.gaps. Where an anonymised capture has no
sequence, its own order counts. Times of packets are `recv_ts`, and
say the day of a session.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import BinaryIO

import numpy as np

from tsdb_trader.errors import InputError
from tsdb_trader.feeds import base, moldudp
from tsdb_trader.feeds.base import EPOCH, NULL, Block, DataFile, Gap, Options, Rejected, Rules
from tsdb_trader.feeds.files import find_files, open_plain, reading
from tsdb_trader.feeds.itch import exchange_of
from tsdb_trader.feeds.itch_decode import NEW_YORK, Decoder
from tsdb_trader.feeds.itch_frames import Frames
from tsdb_trader.feeds.moldudp import MalformedPacketError, Reassembler
from tsdb_trader.feeds.pcap_packets import Captured, NotACaptureError, datagram, is_capture, packets

_NAME = re.compile(r".*\.(pcap|pcapng|cap)(\.gz)?", re.IGNORECASE)
_EPOCH_NS = int(EPOCH.timestamp()) * 10**9
_FIRST_NS, _LAST_NS = 631_152_000 * 10**9, 4_102_444_800 * 10**9
"""1990 and 2100: an earlier time was never set, a later one is damaged."""
_PATIENCE_S = 1.0
_MOST_WAITING = 100_000
_LARGEST_JUMP = 1 << 40
"""Of a sequence: more messages cannot be missing."""


class PcapFormat:
    """Reads captures."""

    name = "pcap"

    def __init__(self, options: Options | None = None) -> None:
        self._options = options or Options()

    def discover(self, paths: Iterable[Path]) -> list[DataFile]:
        """Find the captures in files and folders.

        Raises
        ------
        InputError
            A path cannot be read or is no capture, or a folder holds none.
        """
        found: list[DataFile] = []
        for file in find_files(paths, _NAME, "capture", "*.pcap or *.pcapng"):
            with reading(file), open_plain(file) as content:
                if not is_capture(content.read(4)):
                    raise InputError(f"{file}: not a capture (pcap, pcapng); check the path")
            whole = file.resolve()
            name = f"{whole.parent.name}/{whole.name}"
            found.append(DataFile(file, name, vocabulary="itch"))
        return sorted(found, key=lambda f: (f.content, str(f.path)))

    def open(self, file: DataFile) -> BinaryIO:
        """Return the capture, unpacked."""
        return open_plain(file.path)

    def decode(self, file: DataFile, content: BinaryIO, rules: Rules) -> Iterator[Block]:
        """Turn the packets into blocks of about `base.BLOCK_ROWS`."""
        capture = _Capture(self._options.day, exchange_of(file.content))
        try:
            for packet in packets(content):
                capture.add(packet)
                if capture.rows >= base.BLOCK_ROWS:
                    yield capture.block()
        except NotACaptureError:
            raise InputError(f"{file.path}: not a capture (pcap, pcapng)") from None
        capture.finish()
        yield capture.block()


@dataclass
class _Session:
    """A session in a capture, with what is to be decoded next."""

    name: str
    decoder: Decoder
    sequence: Reassembler
    duplicates: int = 0
    numbers: list[int] = field(default_factory=list)
    messages: list[bytes] = field(default_factory=list)
    times: list[int] = field(default_factory=list)


class _Capture:
    """Collects the rows of a capture into blocks."""

    def __init__(self, day: date | None, exchange: str) -> None:
        self._day = day
        self._exchange = exchange
        self._sessions: dict[tuple[str, str], _Session] = {}
        self._start = self._row = 0
        self._rejected: list[Rejected] = []
        self._gaps: list[Gap] = []

    @property
    def rows(self) -> int:
        """How many rows wait to become a block, without those that never came."""
        return len(self._rejected) + sum(len(s.numbers) for s in self._sessions.values())

    def add(self, packet: Captured) -> None:
        """Take the messages out of a packet."""
        if packet.damage:
            more = f" and {packet.lost} bytes more" if packet.lost else ""
            self._reject(packet.damage, packet.data, more)
            return
        found = datagram(packet)
        if isinstance(found, str):
            self._reject(found, packet.data)
            return
        try:
            mold = moldudp.parse(found.payload)
        except MalformedPacketError:
            self._reject("malformed", packet.data)
            return
        time_ns = packet.time_ns or 0
        known = _FIRST_NS <= time_ns < _LAST_NS
        if not known and self._day is None:
            # Without a day, times of messages mean nothing.
            self._reject("absurd_time", packet.data)
            return
        # A session's two lines have the same name; without one, the address must do.
        key = (mold.session, "" if mold.session else f"{found.address}:{found.port}")
        session = self._sessions.get(key)
        if session is None:
            session = self._sessions[key] = self._begin(mold.session, mold.sequence, time_ns)
        if mold.sequence - session.sequence.high > _LARGEST_JUMP:
            self._reject("malformed", packet.data)
            return
        received = (time_ns - _EPOCH_NS) // 1000 if known else NULL
        if not mold.sequence:
            # Numbers begin with 1: this capture was anonymised, and its own order must do.
            self._give_rows(session, mold.messages, [received] * len(mold.messages))
            return
        session.sequence.add(mold, received, time_ns / 1e9)
        self._take(session, time_ns / 1e9 - _PATIENCE_S)

    def finish(self) -> None:
        """Take what still waits for messages that are not in the capture."""
        for session in self._sessions.values():
            self._take(session, float("inf"))

    def block(self) -> Block:
        """Decode what was collected."""
        block = Block(
            self._start,
            self._row,
            rejected=self._rejected,
            gaps=self._gaps,
            missing=sum(gap.last - gap.first + 1 for gap in self._gaps),
        )
        for session in self._sessions.values():
            block = _with_session(block, session)
        self._start, self._rejected, self._gaps = self._row, [], []
        return replace(
            block,
            messages=sorted(block.messages, key=lambda message: message.seq),
            rejected=sorted(block.rejected, key=lambda rejected: rejected.position),
        )

    def _begin(self, name: str, sequence: int, time_ns: int) -> _Session:
        day = self._day
        if day is None:
            day = datetime.fromtimestamp(time_ns // 10**9, UTC).astimezone(NEW_YORK).date()
        decoder = Decoder(day, self._exchange)
        everything = 1 << 62
        sequence_ = Reassembler(sequence, most_waiting=everything, largest_jump=everything)
        return _Session(name, decoder, sequence_)

    def _reject(self, reason: str, data: bytes, more: str = "") -> None:
        self._rejected.append(Rejected(self._row, reason, f"hex:{data.hex()}{more}"))
        self._row += 1

    def _take(self, session: _Session, before: float) -> None:
        """Give the messages that are next in sequence their rows, and those that came too late."""
        sequence = session.sequence
        while True:
            _, messages, times = sequence.take(base.BLOCK_ROWS)
            if messages:
                self._give_rows(session, messages, times)
                continue
            full = sequence.waiting > _MOST_WAITING
            gap = sequence.give_up(float("inf") if full else before)
            if gap is None:
                break
            count = gap.last - gap.first + 1
            self._gaps.append(Gap(self._row, self._row + count - 1))
            self._row += count
        for message in sequence.late:
            self._reject("out_of_sequence", message)
        sequence.late.clear()

    def _give_rows(
        self, session: _Session, messages: Sequence[bytes], times: Sequence[int]
    ) -> None:
        session.numbers.extend(range(self._row, self._row + len(messages)))
        session.messages.extend(messages)
        session.times.extend(times)
        self._row += len(messages)


def _with_session(block: Block, session: _Session) -> Block:
    """Add to a block what a session's messages come to."""
    found = session.decoder.decode(
        Frames.of(session.messages),
        np.array(session.numbers, dtype=np.int64),
        recv_ts=np.array(session.times, dtype=np.int64),
    )
    for column in (session.numbers, session.messages, session.times):
        column.clear()
    duplicates = session.sequence.duplicates - session.duplicates
    session.duplicates += duplicates
    return replace(
        block,
        ticks=[*block.ticks, *found.ticks],
        messages=[*block.messages, *found.messages],
        rejected=[*block.rejected, *found.rejected],
        corrections=[*block.corrections, *found.corrections],
        duplicates=block.duplicates + duplicates,
    )
