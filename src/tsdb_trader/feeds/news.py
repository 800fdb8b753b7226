"""Format news: headlines as JSON lines, one object per line, into market.news.

Without a mapping file the usual names are understood (`NAMES`), text times are ISO 8601 and numbers
are seconds since 1970. A mapping file is TOML; docs/feeds.md has its keys and an example.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import BinaryIO

from tsdb_trader.clock import Clock, SystemClock
from tsdb_trader.errors import InputError
from tsdb_trader.feeds.base import Block, DataFile, Message, Options, Rejected, Rules, as_text
from tsdb_trader.feeds.files import find_files, open_plain, reading
from tsdb_trader.feeds.mapping import Time
from tsdb_trader.feeds.mapping_file import Keys, check_zone, read_time
from tsdb_trader.feeds.news_rows import Item, UnusableError, find, parse, read_item
from tsdb_trader.feeds.news_times import Instant, instants

_NAME = re.compile(r".*\.(jsonl|ndjson)(\.gz)?", re.IGNORECASE)
NAMES: Mapping[str, tuple[str, ...]] = {
    "headline": ("headline", "title", "text"),
    "headline_id": ("id", "headline_id"),
    "body": ("body", "summary"),
    "url": ("url", "link"),
    "language": ("language", "lang"),
    "symbols": ("symbols", "symbol", "tickers"),
}
"""Where each column is looked for without a mapping file: the first name that a row has."""
TIMES = ("time", "source_time", "published_at", "published", "timestamp", "ts")
RECEIVED = ("recv_time", "received_time", "received_at", "received", "recv_ts")
BLOCK_LINES = 5_000
_LONGEST_LINE = 32 << 20
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Layout:
    """Where the columns are in a row.

    Attributes
    ----------
    received
        None: not known; in a mapping file, every row must have it.
    separator
        Between symbols that are one text.
    scored
        Whether sentiment is wanted.
    """

    names: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: NAMES)
    time: Time = field(default_factory=lambda: Time(TIMES))
    received: Time | None = None
    separator: str = ","
    scored: bool = True
    mapped: bool = False


class NewsFormat:
    """Reads JSON lines of headlines."""

    name = "news"

    def __init__(self, options: Options | None = None, clock: Clock | None = None) -> None:
        options = options or Options()
        self._clock = clock or SystemClock()
        if options.mapping is not None:
            self._layout = read_layout(options.mapping, options.timezone)
        else:
            zone = options.timezone or "UTC"
            check_zone(zone, InputError(f"--timezone {zone}: no IANA zone such as Europe/Berlin"))
            self._layout = Layout(time=Time(TIMES, zone=zone), received=Time(RECEIVED, zone=zone))

    def discover(self, paths: Iterable[Path]) -> list[DataFile]:
        """Find JSON lines files in folders; every file named is taken.

        Raises
        ------
        InputError
            A path cannot be read, or a folder has none.
        """
        return [
            DataFile(path, f"{path.name}/news", by_name=True)
            for path in find_files(paths, _NAME, "JSON lines", "*.jsonl")
        ]

    def open(self, file: DataFile) -> BinaryIO:
        """Return the lines, unpacked."""
        return open_plain(file.path)

    def decode(self, file: DataFile, content: BinaryIO, rules: Rules) -> Iterator[Block]:
        """Turn the lines into headlines and rejected rows.

        Raises
        ------
        InputError
            The file is damaged, or its beginning has no JSON object at all.
        """
        latest = self._clock.now() + timedelta(seconds=rules.future_s)
        with reading(file.path):
            for start, lines in _blocks(file.path, content):
                block = to_block(start, lines, self._layout, latest)
                objects = [r for r in block.rejected if r.reason not in _NO_OBJECT]
                if not start and not objects and len(block.rejected) == len(lines):
                    raise InputError(
                        f"{file.path}: no line is a JSON object; write one object per line"
                    )
                yield block


_NO_OBJECT = frozenset({"malformed", "not_utf8"})


def read_layout(path: Path, timezone: str | None = None) -> Layout:
    """Read a mapping file.

    Raises
    ------
    InputError
        It cannot be read, or a key is missing, unknown or of no use.
    """
    with reading(path):
        text = path.read_bytes()
    try:
        table = tomllib.loads(text.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: no TOML ({error})") from None
    keys = Keys(path, table)
    keys.choose("kind", ("news",), "news")
    scored = keys.choose("sentiment", ("vader", "none"), "vader") == "vader"
    separator = keys.take("separator", str, ",")
    if not separator:
        raise keys.fail("separator", "must not be empty")
    time = read_time(keys, "time", timezone)
    if time is None:
        raise keys.fail("time", "is missing; name the field of the source's time")
    received = read_time(keys, "recv_time", timezone)
    columns = keys.table("columns")
    if columns is None:
        raise keys.fail("columns", "is missing; name at least the headline's field")
    names = {name: columns.take(name, str) for name in NAMES}
    if names["headline"] is None:
        raise columns.fail("headline", "is missing; name the field of the headline")
    columns.done()
    keys.done()
    return Layout(
        {name: () if field is None else (field,) for name, field in names.items()},
        *(time, received, separator, scored),
        mapped=True,
    )


def _blocks(path: Path, content: BinaryIO) -> Iterator[tuple[int, list[bytes]]]:
    """Yield the lines in blocks with the number of the first; blank ones at the end are none."""
    start, blank = 0, 0
    lines: list[bytes] = []
    while line := content.readline(_LONGEST_LINE + 1):
        if len(line) > _LONGEST_LINE:
            raise InputError(
                f"{path}: {_LONGEST_LINE >> 20} MB without a line end; these are no JSON lines"
            )
        if not start and not lines and not blank:
            line = line.removeprefix(_BOM)
        if not line.strip():
            blank += 1
            continue
        # Not at the end after all, so these are rows.
        lines += [b""] * blank
        blank = 0
        lines.append(line.rstrip(b"\r\n"))
        while len(lines) >= BLOCK_LINES:
            yield start, lines[:BLOCK_LINES]
            start, lines = start + BLOCK_LINES, lines[BLOCK_LINES:]
    if lines:
        yield start, lines


def to_block(start: int, lines: list[bytes], layout: Layout, latest: datetime) -> Block:
    """Turn lines into a block; `start` is the row of the first, no time may be after `latest`."""
    rejected = []
    items: list[tuple[int, Item]] = []
    for row, line in enumerate(lines, start):
        try:
            record = parse(line)
            item = read_item(record, layout.names, layout.separator)
            item.time = find(record, layout.time.columns)
            item.received = find(record, layout.received.columns) if layout.received else None
        except UnusableError as error:
            rejected.append(Rejected(row, str(error), as_text(line)))
        else:
            items.append((row, item))
    times, wrong = instants([item.time for _, item in items], layout.time, latest, needed=True)
    received: list[Instant | None] = [None] * len(items)
    if layout.received is not None:
        values = [item.received for _, item in items]
        received, late = instants(values, layout.received, latest, needed=layout.mapped)
        wrong = late | wrong
    messages = []
    for place, (row, item) in enumerate(items):
        time, seen = times[place], received[place]
        if time is None or place in wrong:
            rejected.append(Rejected(row, wrong[place], as_text(lines[row - start])))
            continue
        if not layout.scored:
            item.columns |= dict.fromkeys(("sentiment", "model", "model_version"))
        recv_ts = None if seen is None else seen[0]
        messages.append(Message("news", time[0], row, item.columns, ns=time[1], recv_ts=recv_ts))
    rejected.sort(key=lambda r: r.position)
    return Block(start, start + len(lines), messages=messages, rejected=rejected)
