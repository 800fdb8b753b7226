"""Format daily: date,open,high,low,close,volume,Name, the daily bars of many stocks in one file.

A bar's time is midnight in New York (or --timezone) at the start of its day. Empty cells are null,
and only a row without any price is rejected, so that the quality rules see what is missing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from tsdb_trader.errors import InputError
from tsdb_trader.feeds.base import Block, DataFile, Options, Rules
from tsdb_trader.feeds.csv_format import decode_text, find_text
from tsdb_trader.feeds.files import open_plain
from tsdb_trader.feeds.mapping import Mapping, Number, Output, Time, Words
from tsdb_trader.feeds.mapping_file import check_zone


class DailyFormat:
    """Reads files of daily bars."""

    name = "daily"

    def __init__(self, options: Options | None = None) -> None:
        zone = (options and options.timezone) or "America/New_York"
        check_zone(zone, InputError(f"--timezone {zone}: no IANA zone such as America/New_York"))
        names = ("open", "high", "low", "close", "volume")
        self._mapping = Mapping(
            outputs=[
                Output(
                    "bars",
                    {name: Number(name) for name in names},
                    {"resolution": Words(constant="1d"), "side": Words(constant="trade")},
                )
            ],
            time=Time(("date",), zone=zone),
            symbol=Words("Name"),
        )

    def discover(self, paths: Iterable[Path]) -> list[DataFile]:
        """Find text files in folders; every file named is taken.

        Raises
        ------
        InputError
            A path cannot be read, or a folder has none.
        """
        return [
            DataFile(path, f"{path.name}/bars", definition=self._mapping.definition, by_name=True)
            for path in find_text(paths)
        ]

    def open(self, file: DataFile) -> BinaryIO:
        """Return the content."""
        return open_plain(file.path)

    def decode(self, file: DataFile, content: BinaryIO, rules: Rules) -> Iterator[Block]:
        """Turn the rows into blocks.

        Raises
        ------
        InputError
            The file is damaged, has no rows, or other columns.
        """
        yield from decode_text(file, content, self._mapping, rules)
