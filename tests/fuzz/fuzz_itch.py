"""Coverage-guided fuzzing of the ITCH, MoldUDP64 and capture decoders, with atheris.

Not part of the suite: atheris has to be installed by hand (pip install atheris). Bytes become an
ITCH file, a datagram or a capture; whatever they are, every row must be counted, and an ITCH file
must become what a plain loop makes of it.

usage: fuzz_itch.py {itch,mold,pcap} [options of libFuzzer, such as -runs=100000 -seed=1]
"""

from __future__ import annotations

import io
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

try:
    import atheris
except ImportError:
    sys.exit("atheris is not installed: pip install atheris")

sys.path.insert(0, str(Path(__file__).parents[1]))

with atheris.instrument_imports(include=["tsdb_trader.feeds"]):
    from tsdb_trader.errors import InputError
    from tsdb_trader.feeds import base, itch, moldudp
    from tsdb_trader.feeds.base import DataFile, Rules
    from tsdb_trader.feeds.itch_generate import DAY, generate
    from tsdb_trader.feeds.pcap import PcapFormat

from itch_reference import actual, frames, reference
from pcap_files import classic, ethernet, ipv4, next_generation, udp

FILE = DataFile(Path("x"), f"NASDAQ/{DAY}/itch")


def fuzz_itch(data: bytes) -> None:
    """Decode a file in pieces of a size that the input chooses."""
    if not data:
        return
    itch.PIECE_BYTES, base.BLOCK_ROWS = 40 * (data[0] + 1), data[0] + 1
    content = io.BytesIO(data[1:])
    assert actual(itch.ItchFormat().decode(FILE, content, Rules())) == reference(data[1:], DAY)


def fuzz_mold(data: bytes) -> None:
    """Parse a datagram, and make it again."""
    try:
        packet = moldudp.parse(data)
    except moldudp.MalformedPacketError:
        return
    again = moldudp.downstream(packet.session, packet.sequence, packet.messages, packet.end)
    assert again[10:] == data[10:]
    sequence = moldudp.Reassembler()
    sequence.add(packet, 0, 0.0)
    sequence.take(100)


def fuzz_pcap(data: bytes) -> None:
    """Decode a capture."""
    stop = 0
    try:
        for block in PcapFormat().decode(FILE, io.BytesIO(data), Rules()):
            block.check()
            assert block.start == stop
            stop = block.stop
    except InputError:
        return


def corpus(folder: Path) -> None:
    """Write inputs to begin with."""
    path = generate(folder / "session", messages=90, symbols=1).path
    data = path.read_bytes()
    path.unlink()
    messages = frames(data)[0]
    (folder / "itch").write_bytes(b"\xff" + data)
    (folder / "itch_part").write_bytes(b"\5" + data[-600:])
    packet = moldudp.downstream("S1", 1, messages[:3])
    (folder / "mold").write_bytes(packet)
    for name, make in (("classic", classic), ("next", next_generation)):
        (folder / name).write_bytes(make([ethernet(ipv4(udp(packet)))] * 2))


TARGETS: dict[str, Callable[[bytes], None]] = {
    "itch": fuzz_itch,
    "mold": fuzz_mold,
    "pcap": fuzz_pcap,
}


if __name__ == "__main__":
    if len(sys.argv) < 2 or sys.argv[1] not in TARGETS:
        sys.exit(__doc__)
    with tempfile.TemporaryDirectory() as temporary:
        corpus(Path(temporary))
        target = TARGETS[sys.argv.pop(1)]
        atheris.Setup([*sys.argv, "-max_len=4096", temporary], target)
        atheris.Fuzz()
