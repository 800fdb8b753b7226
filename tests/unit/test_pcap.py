"""Captures: every container and link layer, real ones against itchfeed, damaged ones."""

from __future__ import annotations

import io
import random
import struct
import tarfile
from collections import Counter
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from itch.messages import messages as known

from itch_reference import Reference, actual
from pcap_files import TIME_NS, classic, ethernet, ipv4, ipv6, next_generation, udp
from tsdb_trader.errors import InputError
from tsdb_trader.feeds import base
from tsdb_trader.feeds.base import Block, DataFile, Gap, Options, Rules
from tsdb_trader.feeds.itch_encode import encode
from tsdb_trader.feeds.moldudp import downstream
from tsdb_trader.feeds.pcap import PcapFormat
from tsdb_trader.feeds.pcap_packets import Captured, datagram, packets

FILE = DataFile(Path("x.pcap"), "folder/x.pcap")
SECOND = 10**9


def message(number: int) -> bytes:
    """Return an add order message without its length."""
    return encode(b"A", 1, number * SECOND, number, b"B", 5, b"ABC     ", 10_000)[2:]


def mold(*numbers: int, session: str = "S1") -> bytes:
    return udp(downstream(session, numbers[0], [message(n) for n in numbers]))


MOLD = mold(1, 2)


def blocks(data: bytes, options: Options | None = None) -> list[Block]:
    found = list(PcapFormat(options).decode(FILE, io.BytesIO(data), Rules()))
    for block in found:
        block.check()
    return found


def orders(found: list[Block]) -> list[int]:
    return [o for b in found for t in b.ticks for o in t.numbers["order_id"].tolist()]


SLL = struct.pack(">HHH8sH", 0, 1, 6, bytes(8), 0x0800)
SLL2 = struct.pack(">HHIHBB8s", 0x0800, 0, 1, 1, 0, 6, bytes(8))


@pytest.mark.parametrize(
    "capture",
    [
        classic([ethernet(ipv4(MOLD))]),
        classic([ethernet(ipv4(MOLD))], order=">"),
        classic([ethernet(ipv4(MOLD) + bytes(6))]),
        classic([ethernet(ipv4(MOLD, options=bytes(8)))]),
        classic([ethernet(ipv4(MOLD), vlans=[0x8100])]),
        classic([ethernet(ipv4(MOLD), vlans=[0x88A8, 0x8100])]),
        classic([ethernet(ipv6(MOLD), kind=0x86DD)]),
        classic([ethernet(ipv6(MOLD, 0, bytes([17, 0]) + bytes(6)), kind=0x86DD)]),
        classic([ipv4(MOLD)], link=101),
        classic([ipv6(MOLD)], link=101),
        classic([ipv4(MOLD)], link=228),
        classic([b"\2\0\0\0" + ipv4(MOLD)], link=0),
        classic([SLL + ipv4(MOLD)], link=113),
        classic([SLL2 + ipv4(MOLD)], link=276),
        next_generation([ethernet(ipv4(MOLD))]),
        next_generation([ethernet(ipv4(MOLD))], order=">"),
    ],
)
def test_decode_any_container_and_link_gives_the_messages(capture):
    [block] = blocks(capture)
    [ticks] = block.ticks
    assert ticks.numbers["order_id"].tolist() == [1, 2]
    assert (block.start, block.stop, block.rejected) == (0, 2, [])
    expected = (TIME_NS - int(base.EPOCH.timestamp()) * SECOND) // 1000
    assert ticks.recv_ts is not None
    assert ticks.recv_ts.tolist() == [expected] * 2
    # The day is that of the capture, in New York.
    midnight = ticks.ts[0] - 10**6
    assert (expected - midnight) // 10**6 == (9 * 60 + 30) * 60


@pytest.mark.parametrize(
    "capture",
    [
        classic([ethernet(ipv4(MOLD))], nano=False),
        next_generation([ethernet(ipv4(MOLD))], resolution=None),
    ],
)
def test_packets_times_of_microseconds_are_kept(capture):
    [packet] = packets(io.BytesIO(capture))
    assert packet.time_ns == TIME_NS // 1000 * 1000


@pytest.mark.parametrize(
    ("packet", "reason"),
    [
        (ethernet(ipv4(struct.pack(">HH", 1, 2) + bytes(30), protocol=6)), "unknown_type"),
        (ethernet(b"\0\1" + bytes(30), kind=0x0806), "unknown_type"),
        (ethernet(ipv4(MOLD, fragment=0x2000)), "malformed"),
        (ethernet(ipv6(MOLD, 44), kind=0x86DD), "malformed"),
        (ethernet(ipv4(MOLD))[:30], "malformed"),
        (ethernet(ipv4(MOLD))[:-3], "malformed"),
        (ethernet(ipv4(udp(b"what is this, then?!"))), "malformed"),
        (b"", "malformed"),
    ],
)
def test_decode_packet_without_messages_is_rejected_whole(packet, reason):
    [block] = blocks(classic([packet, ethernet(ipv4(MOLD))]))
    assert [(r.position, r.reason, r.raw) for r in block.rejected] == [
        (0, reason, f"hex:{packet.hex()}")
    ]
    assert orders([block]) == [1, 2]
    assert block.ticks[0].seq.tolist() == [1, 2]


def test_decode_packet_captured_in_part_is_truncated():
    [block] = blocks(classic([ethernet(ipv4(MOLD))[:-3]], missing=3))
    assert [r.reason for r in block.rejected] == ["truncated"]


@pytest.mark.parametrize("make", [classic, next_generation])
def test_decode_any_cut_keeps_what_is_before_it(make):
    whole = make([ethernet(ipv4(mold(n))) for n in (1, 2, 3)])
    seen = set()
    for cut in range(len(whole)):
        if cut < 4:
            with pytest.raises(InputError, match="not a capture"):
                blocks(whole[:cut])
            continue
        found = blocks(whole[:cut])
        complete = orders(found)
        assert complete == [1, 2, 3][: len(complete)]
        reasons = [r.reason for b in found for r in b.rejected]
        assert reasons in ([], ["truncated"])
        seen.add((len(complete), *reasons))
    assert seen >= {(0, "truncated"), (1,), (1, "truncated"), (2,), (2, "truncated")}


def test_decode_damaged_length_says_how_much_is_lost():
    whole = bytearray(classic([ethernet(ipv4(MOLD))] * 2))
    struct.pack_into("<I", whole, 24 + 8, 0xFFFFFFFF)
    [block] = blocks(bytes(whole))
    [rejected] = block.rejected
    assert rejected.reason == "malformed"
    assert rejected.raw.endswith(f" and {len(whole) - 40} bytes more")


def test_decode_lost_and_repeated_packets_are_counted():
    sent = [(1, 2), (5,), (1, 2), (3,), (9,), (5,)]
    capture = classic([ethernet(ipv4(mold(*numbers))) for numbers in sent])
    [block] = blocks(capture)
    assert orders([block]) == [1, 2, 3, 5, 9]
    assert block.duplicates == 3
    # Rows 3 and 5 to 7: numbers 4 and 6 to 8.
    assert (block.gaps, block.missing, block.stop) == ([Gap(3, 3), Gap(5, 7)], 4, 9)
    assert block.ticks[0].seq.tolist() == [0, 1, 2, 4, 8]


def test_decode_message_from_before_the_first_packet_is_out_of_sequence():
    [block] = blocks(classic([ethernet(ipv4(mold(n))) for n in (5, 4, 6)]))
    assert orders([block]) == [5, 6]
    assert [r.reason for r in block.rejected] == ["out_of_sequence"]


def test_decode_anonymised_sequence_keeps_every_message_in_its_place():
    sent = [udp(downstream("", 0, [message(n)])) for n in (1, 2, 2, 3)]
    [block] = blocks(classic([ethernet(ipv4(one)) for one in sent]))
    assert orders([block]) == [1, 2, 3]
    assert [(r.position, r.reason) for r in block.rejected] == [(2, "duplicate_order")]
    assert (block.duplicates, block.missing) == (0, 0)


def test_decode_two_sessions_have_their_own_sequences():
    both = [mold(n, session=s) for n in (1, 2) for s in ("S1", "S2")]
    [block] = blocks(classic([ethernet(ipv4(one)) for one in both]))
    assert [sorted(t.numbers["order_id"].tolist()) for t in block.ticks] == [[1, 2], [1, 2]]
    assert (block.stop, block.missing, block.duplicates) == (4, 0, 0)


def test_decode_capture_without_times_needs_a_day():
    capture = classic([ethernet(ipv4(MOLD))], time_ns=0)
    [block] = blocks(capture)
    assert [r.reason for r in block.rejected] == ["absurd_time"]
    assert orders(blocks(capture, Options(day=date(2023, 8, 22)))) == [1, 2]


def test_decode_many_blocks_are_the_same_as_one(monkeypatch):
    capture = classic([ethernet(ipv4(mold(n))) for n in range(1, 60)])
    whole = actual(blocks(capture))
    monkeypatch.setattr(base, "BLOCK_ROWS", 7)
    parts = blocks(capture)
    assert len(parts) > 5
    assert actual(parts) == whole


def test_discover_finds_captures_by_their_first_bytes(tmp_path):
    (tmp_path / "a.pcap").write_bytes(classic([]))
    (tmp_path / "b.txt").write_bytes(b"")
    [file] = PcapFormat().discover([tmp_path])
    assert file.content == f"{tmp_path.name}/a.pcap"
    (tmp_path / "c.pcapng").write_bytes(b"no capture")
    with pytest.raises(InputError, match=r"c\.pcapng: not a capture"):
        PcapFormat().discover([tmp_path])
    with pytest.raises(InputError, match="no such file"):
        PcapFormat().discover([tmp_path / "nowhere"])


def mutated(source: random.Random) -> bytes:
    make = source.choice((classic, next_generation))
    data = bytearray(make([ethernet(ipv4(mold(n, n + 1))) for n in (1, 3, 4)]))
    for _ in range(source.randrange(5)):
        data[source.randrange(4, len(data))] = source.choice((0, 1, 255, source.randrange(256)))
    return bytes(data[: source.randrange(4, len(data) + 1)])


@settings(deadline=None)
@given(st.integers(0, 2**32))
def test_decode_damaged_capture_is_counted(seed):
    blocks(mutated(random.Random(seed)))


@pytest.mark.long
def test_decode_many_damaged_captures_are_counted():
    for seed in range(60_000):
        blocks(mutated(random.Random(seed)))


@given(st.sampled_from([0, 1, 12, 113, 276, 147]), st.binary(max_size=120))
def test_datagram_any_bytes_are_one_or_a_reason(link, data):
    found = datagram(Captured(data, 0, link))
    assert not isinstance(found, str) or found in base.REASONS


# Recorded captures


@pytest.fixture(scope="module")
def captures(data_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("captures")
    with tarfile.open(data_folder / "itch_ouch" / "omi-data-packets_all.tar.gz") as packed:
        packed.extractall(folder, filter="data")
    return folder


@pytest.mark.needs_data
def test_decode_recorded_captures_of_totalview_are_those_of_itchfeed(captures):
    """Payloads are cut out by their fixed offsets here: Ethernet (VLAN), IPv4, UDP."""
    kinds: Counter[bytes] = Counter()
    paths = sorted(captures.glob("Nasdaq/*TotalView.Itch.v5.0*/*.pcap"))
    assert len(paths) == 49
    for path in paths:
        data = path.read_bytes()
        order = "<" if data[:4] in (b"\xd4\xc3\xb2\xa1", b"\x4d\x3c\xb2\xa1") else ">"
        place, expected, day = 24, [], None
        while place < len(data):
            seconds, _, size, _ = struct.unpack_from(order + "IIII", data, place)
            day = datetime.fromtimestamp(seconds, UTC).date()
            link = 18 if data[place + 16 + 12 : place + 16 + 14] == b"\x81\0" else 14
            payload = data[place + 16 + link + 28 : place + 16 + size]
            place += 16 + size
            at = 20
            for _ in range(int.from_bytes(payload[18:20], "big")):
                length = int.from_bytes(payload[at : at + 2], "big")
                expected.append(payload[at + 2 : at + 2 + length])
                at += 2 + length
        assert all(known[m[:1]].message_size == len(m) for m in expected)
        kinds.update(m[:1] for m in expected)
        reader = PcapFormat()
        [file] = reader.discover([path])
        with reader.open(file) as content:
            found = list(reader.decode(file, content, Rules()))
        [block] = found
        block.check()
        assert block.stop - block.missing == len(expected)
        assert day is not None
        wanted = [sorted(row, key=repr) for row in Reference(day).read(expected)]
        assert _rows(block) == wanted
    assert len(kinds) >= 15


def _rows(block: Block) -> list:
    """Return what each message became, without the rows that never came."""
    places = sorted(
        {int(s) for t in block.ticks for s in t.seq}
        | {m.seq for m in block.messages}
        | {r.position for r in block.rejected}
    )
    dense = {place: number for number, place in enumerate(places)}
    return actual([_moved(block, dense)])


def _moved(block: Block, dense: dict[int, int]) -> Block:
    ticks = []
    for t in block.ticks:
        seq = np.array([dense[int(s)] for s in t.seq], dtype=np.int64)
        exchange = base.constant("Q", len(t))
        texts = {**t.texts, "exchange": exchange} if t.kind == "trades" else t.texts
        ticks.append(replace(t, seq=seq, texts=texts))
    return replace(
        block,
        start=0,
        stop=len(dense),
        ticks=ticks,
        messages=[replace(m, seq=dense[m.seq]) for m in block.messages],
        rejected=[replace(r, position=dense[r.position]) for r in block.rejected],
        gaps=[],
        missing=0,
    )


@pytest.mark.needs_data
def test_decode_recorded_captures_of_every_protocol_are_counted(captures):
    reader = PcapFormat()
    files = reader.discover([captures])
    assert len(files) == len({file.content for file in files}) == 397
    stored = 0
    for file in files:
        with reader.open(file) as content:
            for block in reader.decode(file, content, Rules()):
                block.check()
                if "TotalView" not in file.content:
                    stored += block.stored
    # One of MEMX looks the same, byte by byte.
    assert stored <= 1
