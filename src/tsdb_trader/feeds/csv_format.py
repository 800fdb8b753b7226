"""Format csv: text files with a mapping file; .gz is unpacked on the way."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from tsdb_trader.errors import InputError
from tsdb_trader.feeds.base import Block, DataFile, Options, Rules
from tsdb_trader.feeds.csv_table import text_blocks
from tsdb_trader.feeds.files import find_files, open_plain, reading
from tsdb_trader.feeds.mapping import Mapping
from tsdb_trader.feeds.mapping_file import read_mapping
from tsdb_trader.feeds.mapping_rows import SYMBOL, Decoder

_NAME = re.compile(r".*\.(csv|tsv|txt)(\.gz)?", re.IGNORECASE)


class CsvFormat:
    """Reads text files as a mapping file says."""

    name = "csv"

    def __init__(self, options: Options) -> None:
        self._mapping = read_mapping(options.mapping, options.timezone, options.symbol)

    def discover(self, paths: Iterable[Path]) -> list[DataFile]:
        """Find text files in folders; every file named is taken.

        Raises
        ------
        InputError
            A path cannot be read, or a folder has none.
        """
        return [mapped_file(path, self._mapping) for path in find_text(paths)]

    def open(self, file: DataFile) -> BinaryIO:
        """Return the content."""
        return open_plain(file.path)

    def decode(self, file: DataFile, content: BinaryIO, rules: Rules) -> Iterator[Block]:
        """Turn the rows into blocks.

        Raises
        ------
        InputError
            The file is damaged, has no rows, or not those that the mapping describes.
        """
        yield from decode_text(file, content, self._mapping, rules)


def find_text(paths: Iterable[Path]) -> list[Path]:
    """Return the files named and the text files in the folders named."""
    return find_files(paths, _NAME, "text", "*.csv, *.tsv or *.txt, or these with .gz")


def decode_text(
    file: DataFile, content: BinaryIO, mapping: Mapping, rules: Rules
) -> Iterator[Block]:
    """Decode a text file; its one instrument, if it has only one, is the file's."""
    if file.symbol is not None:
        mapping = replace(mapping, symbol=None)
    name = str(file.path)
    with reading(file.path):
        blocks = text_blocks(name, content, mapping.layout, mapping.columns)
        yield from Decoder(name, mapping, rules).decode(blocks)


def mapped_file(path: Path, mapping: Mapping) -> DataFile:
    """Return what a mapping says about a file."""
    if mapping.series is not None:
        return DataFile(path, f"{path.name}/series", definition=mapping.definition, by_name=True)
    kind = mapping.outputs[0].kind
    words = mapping.symbol
    symbol = words.constant if words is not None and words.column is None else None
    if symbol is not None and not SYMBOL.fullmatch(symbol):
        raise InputError(f"symbol {symbol!r} cannot be; use up to 32 letters, digits and ./-")
    content = "/".join(filter(None, (path.name, symbol, kind)))
    return DataFile(
        path,
        content,
        kind if symbol else None,
        symbol,
        mapping.definition,
        mapping.vocabulary,
        by_name=True,
    )
