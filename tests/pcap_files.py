"""Captures made byte by byte, for tests."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from ipaddress import ip_address

TIME_NS = 1_692_711_000_123_456_789
"""2023-08-22 13:30:00 UTC and a bit."""


def udp(payload: bytes, port: int = 26477) -> bytes:
    return struct.pack(">HHHH", 5000, port, 8 + len(payload), 0) + payload


def ipv4(inside: bytes, protocol: int = 17, options: bytes = b"", fragment: int = 0) -> bytes:
    words, total = 5 + len(options) // 4, 20 + len(options) + len(inside)
    head = struct.pack(">BBHHHBBH", 0x40 | words, 0, total, 1, fragment, 9, protocol, 0)
    return head + bytes([10, 0, 0, 1, 233, 54, 12, 111]) + options + inside


def ipv6(inside: bytes, following: int = 17, extensions: bytes = b"") -> bytes:
    head = struct.pack(">IHBB", 6 << 28, len(extensions) + len(inside), following, 9)
    target = ip_address("ff02::1").packed
    return head + bytes(16) + target + extensions + inside


def ethernet(inside: bytes, kind: int = 0x0800, vlans: Iterable[int] = ()) -> bytes:
    tags = b"".join(struct.pack(">HH", tag, 7) for tag in vlans)
    return bytes(12) + tags + struct.pack(">H", kind) + inside


def classic(
    packets: Iterable[bytes],
    *,
    order: str = "<",
    nano: bool = True,
    link: int = 1,
    missing: int = 0,
    time_ns: int = TIME_NS,
) -> bytes:
    """Return a capture; `missing` bytes of each packet were not captured."""
    magic = 0xA1B23C4D if nano else 0xA1B2C3D4
    data = struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, 65535, link)
    for packet in packets:
        fraction = time_ns % 10**9 // (1 if nano else 1000)
        size = len(packet)
        data += struct.pack(order + "IIII", time_ns // 10**9, fraction, size, size + missing)
        data += packet
    return data


def _block(order: str, kind: int, body: bytes) -> bytes:
    size = 12 + len(body)
    return struct.pack(order + "II", kind, size) + body + struct.pack(order + "I", size)


def next_generation(
    packets: Iterable[bytes], *, order: str = "<", link: int = 1, resolution: int | None = 9
) -> bytes:
    """Return a pcapng capture; times are in 10 to the minus `resolution` seconds."""
    options = b"" if resolution is None else struct.pack(order + "HHBxxxHH", 9, 1, resolution, 0, 0)
    ticks = 10 ** (6 if resolution is None else resolution)
    data = _block(order, 0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1))
    data += _block(order, 1, struct.pack(order + "HHI", link, 0, 0) + options)
    data += _block(order, 5, bytes(12))
    time = TIME_NS * ticks // 10**9
    for packet in packets:
        head = struct.pack(
            order + "IIIII", 0, time >> 32, time & 0xFFFFFFFF, len(packet), len(packet)
        )
        data += _block(order, 6, head + packet + bytes(-len(packet) % 4))
    return data
