"""MoldUDP64 packets, and their way back into sequence."""

from __future__ import annotations

import random
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tsdb_trader.feeds.base import Gap
from tsdb_trader.feeds.moldudp import (
    MalformedPacketError,
    Packet,
    Reassembler,
    downstream,
    parse,
    request,
)


def test_parse_packet_as_the_specification_lays_it_out():
    data = b"000010059B" + struct.pack(">QH", 7, 2) + b"\0\x02ab" + b"\0\0"
    assert parse(data) == Packet("000010059B", 7, [b"ab", b""])
    assert downstream("000010059B", 7, [b"ab", b""]) == data


def test_parse_heartbeat_and_end_have_no_messages():
    assert parse(downstream("S1", 9, [])) == Packet("S1", 9, [])
    assert parse(downstream("S1", 9, [], end=True)) == Packet("S1", 9, [], end=True)


def test_request_is_twenty_bytes():
    assert request("S1", 5, 6) == b"S1        " + bytes.fromhex("0000000000000005 0006")


GOOD = downstream("S1", 5, [b"abc", b"de"])


@pytest.mark.parametrize(
    "data",
    [
        b"",
        GOOD[:19],
        GOOD[:-1],
        GOOD + b"x",
        b"\xff" + GOOD[1:],
        downstream("S1", 5, [], end=True) + b"x",
        b"S1        " + struct.pack(">QH", 2**64 - 1, 0),
    ],
)
def test_parse_something_else_is_malformed(data):
    with pytest.raises(MalformedPacketError):
        parse(data)


@given(st.binary(max_size=80))
def test_parse_any_bytes_are_a_packet_or_malformed(data):
    check_bytes(data)


@pytest.mark.long
def test_parse_many_bytes_are_a_packet_or_malformed():
    source = random.Random(1)
    for _ in range(100_000):
        data = bytearray(downstream("S1", 5, [source.randbytes(9) for _ in range(3)]))
        for _ in range(source.randrange(4)):
            data[source.randrange(len(data))] = source.randrange(256)
        check_bytes(bytes(data[: source.randrange(len(data) + 1)]))


def check_bytes(data: bytes) -> None:
    try:
        packet = parse(data)
    except MalformedPacketError:
        return
    again = downstream(packet.session, packet.sequence, packet.messages, packet.end)
    assert again[10:] == data[10:]


def message(number: int) -> bytes:
    return b"%d" % number


def packets(source: random.Random, count: int) -> list[Packet]:
    """Cut messages 1 to count into packets."""
    found, first = [], 1
    while first <= count:
        size = source.randint(1, 5)
        numbers = range(first, min(first + size, count + 1))
        found.append(Packet("S", first, [message(n) for n in numbers]))
        first += size
    return found


def check_network(seed: int) -> None:
    """Lose, repeat and shuffle packets; whatever comes in the end is delivered once, in order."""
    source = random.Random(seed)
    sent = packets(source, 60)
    came = [p for p in sent for _ in range(source.choice((0, 1, 1, 1, 2)))]
    for i in range(len(came) - 1):
        j = min(i + source.randrange(4), len(came) - 1)
        came[i], came[j] = came[j], came[i]
    sequence = Reassembler()
    delivered: dict[int, bytes] = {}
    open_gaps: set[int] = set()

    def take() -> None:
        first, taken, times = sequence.take(source.choice((1, 3, 1000)))
        assert len(times) == len(taken)
        for number, found in enumerate(taken, first):
            assert number == len(delivered) + 1
            delivered[number] = found
        for gap in sequence.new_gaps:
            assert open_gaps.isdisjoint(range(gap.first, gap.last + 1))
            open_gaps.update(range(gap.first, gap.last + 1))
        for gap in sequence.filled:
            assert open_gaps.issuperset(range(gap.first, gap.last + 1))
            open_gaps.difference_update(range(gap.first, gap.last + 1))
        sequence.new_gaps, sequence.filled = [], []

    for packet in came:
        sequence.add(packet, 0, 0.0)
        take()
    sequence.add(Packet("S", 61), 0, 0.0)
    take()
    holes = {n for hole in sequence.holes for n in range(hole.first, hole.last + 1)}
    seen = {n for p in came for n in range(p.sequence, p.sequence + len(p.messages))}
    assert holes == open_gaps == set(range(1, 61)) - seen
    assert sequence.duplicates == sum(len(p.messages) for p in came) - len(seen)
    for hole in list(sequence.holes):
        asked = [message(n) for n in range(hole.first, hole.last + 1)]
        sequence.add(Packet("S", hole.first, asked), 0, 1.0)
    while sequence.next_sequence <= 60:
        take()
    assert delivered == {n: message(n) for n in range(1, 61)}
    assert not sequence.holes
    assert not open_gaps
    assert not sequence.waiting


@given(st.integers(0, 2**32))
def test_add_through_a_bad_network_delivers_all_once_in_order(seed):
    check_network(seed)


@pytest.mark.long
def test_add_through_many_bad_networks_delivers_all_once_in_order():
    for seed in range(20_000):
        check_network(seed)


def test_give_up_skips_only_what_had_its_time():
    sequence = Reassembler()
    sequence.add(Packet("S", 1, [b"a"]), 0, 0.0)
    sequence.add(Packet("S", 5, [b"e"]), 0, 10.0)
    assert sequence.take(9) == (1, [b"a"], [0])
    assert sequence.give_up(9.9) is None
    sequence.add(Packet("S", 3, [b"c"]), 0, 15.0)
    # The hole shrank, so what is left of it has its time anew.
    assert sequence.give_up(14.9) is None
    assert sequence.give_up(15.0) == Gap(2, 2)
    assert sequence.take(9)[1] == [b"c"]
    assert sequence.give_up(15.0) == Gap(4, 4)
    assert sequence.take(9)[1] == [b"e"]
    sequence.add(Packet("S", 2, [b"b"]), 0, 16.0)
    assert (sequence.late, sequence.duplicates) == ([b"b"], 0)
    sequence.add(Packet("S", 3, [b"c"]), 0, 16.0)
    assert (len(sequence.late), sequence.duplicates) == (1, 1)


def test_add_far_ahead_is_believed_when_confirmed():
    sequence = Reassembler(largest_jump=100)
    sequence.add(Packet("S", 1000, [b"x"]), 0, 0.0)
    assert (sequence.implausible, sequence.waiting, sequence.holes) == (1, 0, [])
    sequence.add(Packet("S", 1, [b"a"]), 0, 0.0)
    sequence.add(Packet("S", 2000, [b"x"]), 0, 0.0)
    sequence.add(Packet("S", 2001, [b"y"]), 0, 0.0)
    assert (sequence.implausible, sequence.new_gaps) == (2, [Gap(2, 2000)])


def test_add_without_room_keeps_what_is_next():
    sequence = Reassembler(most_waiting=2)
    for number in (3, 4, 5, 6):
        sequence.add(Packet("S", number, [message(number)]), 0, 0.0)
    assert (sequence.waiting, sequence.dropped, sequence.high) == (2, 2, 5)
    sequence.add(Packet("S", 1, [b"1", b"2"]), 0, 0.0)
    assert sequence.take(9)[1] == [b"1", b"2", b"3", b"4"]
