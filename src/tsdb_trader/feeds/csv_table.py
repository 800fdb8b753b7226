"""Delimited text as columns of text: any delimiter, quoted fields, any encoding.

A field in quotes may hold the delimiter, and quotes doubled, but no line end.
"""

from __future__ import annotations

import codecs
import csv as slow_csv
import io
from collections.abc import Iterator, Sequence
from typing import BinaryIO

import numpy as np
import pyarrow as pa
from pyarrow import csv

from tsdb_trader.errors import InputError
from tsdb_trader.feeds import base
from tsdb_trader.feeds.base import Integers, Rejected
from tsdb_trader.feeds.csv_rows import PEEKED, Lines, line_blocks
from tsdb_trader.feeds.mapping import Layout
from tsdb_trader.feeds.mapping_rows import RawBlock
from tsdb_trader.feeds.row_checks import Mask

_BOM = codecs.BOM_UTF8
_REPLACED = "�".encode()


class Recoded(io.RawIOBase):
    """Content of another encoding as UTF-8; what is no text becomes U+FFFD."""

    def __init__(self, content: BinaryIO, encoding: str) -> None:
        self._content = content
        self._decoder = codecs.getincrementaldecoder(encoding)("replace")

    def read(self, size: int = -1) -> bytes:
        """Return some content, empty at its end only."""
        while True:
            piece = self._content.read(size)
            text = self._decoder.decode(piece, final=not piece)
            if text or not piece:
                return text.encode("utf-8", "replace")


def text_blocks(
    name: str, content: BinaryIO, layout: Layout, wanted: Sequence[str]
) -> Iterator[RawBlock]:
    """Read the wanted columns of a file in blocks of rows; the header is no row.

    Raises
    ------
    InputError
        A column is not there, or at the file's start most rows have another number of fields.
    """
    recoded = layout.encoding not in ("utf-8", "utf-8-sig", "ascii")
    stream: BinaryIO = Recoded(content, layout.encoding) if recoded else content  # type: ignore[assignment]
    first = _more(stream, b"").removeprefix(_BOM)
    names = layout.names
    if names is None:
        while b"\n" not in first and (more := _more(stream, first)) != first:
            if len(first) > base.BLOCK_ROWS * 100:
                raise InputError(f"{name}: no line end in its first {len(first)} bytes; no CSV")
            first = more
        header, _, first = first.partition(b"\n")
        names = header_names(name, header, layout)
    places = column_places(name, names, wanted)
    reader = _Reader(layout, len(names), places, recoded)
    looked = False
    for lines in line_blocks(name, stream, base.BLOCK_ROWS, first):
        block = reader.read(lines)
        if not looked and len(block.rejected) * 2 > block.count:
            raise InputError(
                f"{name}: most rows do not have the {len(names)} fields {','.join(names)[:80]} "
                f"(first row: {lines.raw(0)[:60]!r}); check the delimiter and the names"
            )
        looked = True
        yield block


def _more(stream: BinaryIO, text: bytes) -> bytes:
    return text + (stream.read(PEEKED) or b"")


def header_names(name: str, header: bytes, layout: Layout) -> tuple[str, ...]:
    """Return the names in a header line."""
    try:
        fields = _fields(header.rstrip(b"\r").decode(), layout)
    except (UnicodeDecodeError, slow_csv.Error):
        raise InputError(f"{name}: its first line is no header: {header[:60]!r}") from None
    return tuple(field.strip() for field in fields)


def column_places(name: str, names: Sequence[str], wanted: Sequence[str]) -> dict[str, int]:
    """Return where the wanted columns are.

    Raises
    ------
    InputError
        One is not there, or twice.
    """
    for column in wanted:
        if names.count(column) != 1:
            told = "no column" if column not in names else "more than one column"
            raise InputError(f"{name}: {told} {column!r}; there are {', '.join(names)[:300]}")
    return {column: names.index(column) for column in wanted}


class _Reader:
    def __init__(self, layout: Layout, fields: int, places: dict[str, int], recoded: bool) -> None:
        self._layout = layout
        self._fields = fields
        self._places = places
        self._recoded = recoded
        self._wanted = [str(place) for place in sorted(set(places.values()))]

    def read(self, lines: Lines) -> RawBlock:
        """Read the wanted columns of some lines."""
        everything = np.arange(len(lines), dtype=np.int64)
        doubtful = (b"\r", b"\0", *([_REPLACED] if self._recoded else []))
        if not any(mark in lines.body for mark in doubtful):
            try:
                table = self._bulk(lines.body)
            except pa.ArrowInvalid:
                pass
            else:
                if table.num_rows == len(lines):
                    return self._block(lines, everything, table, [])
        return self._carefully(lines)

    def _bulk(self, body: bytes) -> pa.Table:
        layout = self._layout
        return csv.read_csv(
            pa.BufferReader(body),
            read_options=csv.ReadOptions(
                column_names=[str(place) for place in range(self._fields)],
                # Threads would compete with the COPY that runs at the same time.
                use_threads=False,
                block_size=max(len(body) + 1, 1 << 20),
            ),
            parse_options=csv.ParseOptions(
                delimiter=layout.delimiter,
                quote_char=layout.quote or False,
                double_quote=True,
                ignore_empty_lines=False,
            ),
            convert_options=csv.ConvertOptions(
                include_columns=self._wanted,
                column_types=dict.fromkeys(self._wanted, pa.string()),
                null_values=[],
                strings_can_be_null=False,
            ),
        )

    def _block(
        self, lines: Lines, rows: Integers, table: pa.Table, rejected: list[Rejected]
    ) -> RawBlock:
        found = {name: _array(table[str(place)]) for name, place in self._places.items()}
        return RawBlock(len(lines), rows, found, rejected, lines.raw)

    def _carefully(self, lines: Lines) -> RawBlock:
        """Read plain lines in bulk, and those with quotes or doubtful bytes one by one."""
        plain = lines.counts(self._layout.delimiter) == self._fields - 1
        plain &= ~self._doubtful(lines)
        rows = np.flatnonzero(plain)
        one_by_one: list[tuple[int, list[str]]] = []
        rejected: list[Rejected] = []
        for row in np.flatnonzero(~plain).tolist():
            found = self._line(lines, row)
            if isinstance(found, Rejected):
                rejected.append(found)
            else:
                one_by_one.append((row, found))
        columns: dict[str, list[str]] = {
            name: [fields[int(name)] for _, fields in one_by_one] for name in self._wanted
        }
        table = pa.table({name: pa.array(texts, pa.string()) for name, texts in columns.items()})
        numbers = np.array([row for row, _ in one_by_one], dtype=np.int64)
        if len(rows):
            table = pa.concat_tables([self._bulk(lines.only(rows)), table])
            numbers = np.concatenate((rows, numbers))
        order = np.argsort(numbers)
        return self._block(lines, numbers[order], table.take(pa.array(order)), rejected)

    def _doubtful(self, lines: Lines) -> Mask:
        marks = [0, ord("\r"), *([ord(self._layout.quote)] if self._layout.quote else [])]
        try:
            lines.body.decode()
        except UnicodeDecodeError:
            return lines.with_bytes(*marks)
        return lines.with_bytes(*marks, above=127 if self._recoded else 255)

    def _line(self, lines: Lines, row: int) -> list[str] | Rejected:
        line = lines.body[lines.starts[row] : lines.ends[row]]
        try:
            text = line.decode()
        except UnicodeDecodeError:
            return Rejected(row, "not_utf8", lines.raw(row))
        if self._recoded and "�" in text:
            return Rejected(row, "not_utf8", lines.raw(row))
        try:
            fields = _fields(text, self._layout)
        except slow_csv.Error:
            fields = []
        if len(fields) != self._fields or "\0" in text or "\r" in text:
            return Rejected(row, "malformed", lines.raw(row))
        return fields


def _array(column: pa.ChunkedArray) -> pa.Array:
    found = column.combine_chunks()
    return found.chunk(0) if isinstance(found, pa.ChunkedArray) else found


def _fields(line: str, layout: Layout) -> list[str]:
    reader = slow_csv.reader(
        [line],
        delimiter=layout.delimiter,
        quotechar=layout.quote or None,
        quoting=slow_csv.QUOTE_MINIMAL if layout.quote else slow_csv.QUOTE_NONE,
        strict=True,
    )
    return next(reader, [""])
