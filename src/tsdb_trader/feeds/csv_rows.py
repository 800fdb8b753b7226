"""CSV in bulk, without losing a single row: what does not parse is found and named, row by row.

pyarrow parses whole columns and stops at the first row it cannot parse. The line ends are found
here, so that a row keeps its number and its text whatever is in it; only the rows that fail are
looked at one by one.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyarrow import csv

from tsdb_trader.errors import InputError
from tsdb_trader.feeds.base import Integers, Rejected, Text, as_text

_INTEGER = re.compile(r"-?[0-9]+")
_DECIMAL = re.compile(r"-?[0-9]*\.?[0-9]+([eE][-+]?[0-9]+)?|-?[0-9]+\.")
_NAN = re.compile(r"[-+]?(nan|inf|infinity)", re.IGNORECASE)
_DIGITS = 15
_PIECE = 4 << 20
_BLOCK_BYTES = 32 << 20
_BLANK = b"\r\n"
PEEKED = 64 << 10
"""Bytes at the start of a file by which its form is judged."""


@dataclass(frozen=True)
class Columns:
    """The rows that parsed: their numbers in the file, and their columns by name."""

    rows: Integers
    numbers: dict[str, Integers]
    texts: dict[str, Text]


class Lines:
    """Some whole lines of a CSV; `content` has no newline at its end.

    Parameters
    ----------
    newlines
        Where they are, if that is known.
    """

    def __init__(self, content: bytes, newlines: Integers | None = None) -> None:
        if b"\r" in content:
            content, newlines = content.replace(b"\r\n", b"\n").removesuffix(b"\r"), None
        self.body = content
        self._bytes = np.frombuffer(self.body, dtype=np.uint8)
        if newlines is None:
            newlines = np.flatnonzero(self._bytes == ord("\n"))
        self.starts = np.concatenate(([0], newlines + 1))
        self.ends = np.concatenate((newlines, [len(self.body)]))

    def __len__(self) -> int:
        return len(self.starts)

    def raw(self, row: int) -> str:
        """Return a line as text that any database can hold; bytes that are no text are escaped."""
        return as_text(self.body[self.starts[row] : self.ends[row]])

    @cached_property
    def commas(self) -> Integers:
        """Commas in each line."""
        return self.counts(",")

    def counts(self, mark: str) -> Integers:
        """Count an ASCII character in each line."""
        places = np.flatnonzero(self._bytes == ord(mark))
        counts = np.searchsorted(places, self.ends) - np.searchsorted(places, self.starts)
        return counts.astype(np.int64)

    def has_hexadecimal(self) -> bool:
        """Whether 0x or 0X is anywhere."""
        if b"x" not in self.body and b"X" not in self.body:
            return False
        # A search for the pair itself would stop at every 0.
        places = np.flatnonzero((self._bytes | 0x20) == ord("x"))
        return bool((self._bytes[np.maximum(places - 1, 0)] == ord("0")).any())

    def with_bytes(self, *values: int, above: int = 127) -> NDArray[np.bool_]:
        """Mark the lines that hold any of the given byte values, or any above one."""
        wanted = self._bytes > above
        for value in values:
            wanted |= self._bytes == value
        marked = np.zeros(len(self), dtype=np.bool_)
        marked[np.searchsorted(self.ends, np.flatnonzero(wanted), side="left")] = True
        return marked

    def only(self, rows: Integers) -> bytes:
        """Return the given lines, increasing, as a CSV."""
        breaks = np.flatnonzero(np.diff(rows) != 1)
        firsts = rows[np.concatenate(([0], breaks + 1))]
        lasts = rows[np.concatenate((breaks, [len(rows) - 1]))]
        view = memoryview(self.body)
        spans = zip(self.starts[firsts].tolist(), self.ends[lasts].tolist(), strict=True)
        return b"\n".join([view[start:end] for start, end in spans])


def line_blocks(name: str, content: BinaryIO, rows: int, first: bytes = b"") -> Iterator[Lines]:
    """Read a CSV in blocks of at most so many lines and 32 MB.

    A last line without newline is one, blank lines at the end are none.

    Parameters
    ----------
    name
        How errors call the file.
    first
        What was read of the content already.

    Raises
    ------
    InputError
        There is no line end where one must be, as in a file that is no text.
    """
    waiting, newlines, size = [first], first.count(b"\n"), len(first)
    while piece := content.read(_PIECE):
        waiting.append(piece)
        newlines += piece.count(b"\n")
        size += len(piece)
        if newlines <= rows and size <= _BLOCK_BYTES:
            continue
        text = b"".join(waiting)
        rest = yield from _whole_blocks(text, rows)
        if len(rest) > _BLOCK_BYTES:
            raise InputError(f"{name}: {_BLOCK_BYTES >> 20} MB without a line; this is no CSV")
        waiting, newlines, size = [rest], rest.count(b"\n"), len(rest)
    text = b"".join(waiting).rstrip(_BLANK)
    if rest := (yield from _whole_blocks(text, rows)):
        yield Lines(rest)


def _whole_blocks(text: bytes, rows: int) -> Generator[Lines, None, bytes]:
    """Yield whole blocks and return the rest: it may go on, or be blank lines at the end."""
    ends = np.flatnonzero(np.frombuffer(text, dtype=np.uint8) == ord("\n"))
    ends = ends[: np.searchsorted(ends, len(text.rstrip(_BLANK)))]
    start = line = 0
    while line < len(ends):
        fitting = int(np.searchsorted(ends, start + _BLOCK_BYTES))
        stop = min(line + rows, fitting)
        more_may_fit = stop == len(ends) < line + rows and len(text) - start <= _BLOCK_BYTES
        if stop == line or more_may_fit:
            break
        yield Lines(text[start : ends[stop - 1]], ends[line : stop - 1] - start)
        start, line = int(ends[stop - 1]) + 1, stop
    return text[start:]


def parse(
    lines: Lines, names: Sequence[str], texts: frozenset[str]
) -> tuple[Columns, list[Rejected]]:
    """Parse every line; columns not in `texts` are integers.

    Returns
    -------
    tuple
        The rows that parsed and those that did not, each once.
    """
    everything = np.arange(len(lines), dtype=np.int64)
    # pyarrow takes a lone carriage return for a newline, and 0x10 for a number.
    if not (b"\r" in lines.body or b"\0" in lines.body or lines.has_hexadecimal()):
        try:
            table = _read(lines.body, names, {n: _type(n, texts) for n in names})
        except pa.ArrowInvalid:
            pass
        else:
            if table.num_rows == len(lines):
                return _columns(table, everything, names, texts), []
    return _parse_carefully(lines, names, texts)


def _type(name: str, texts: frozenset[str]) -> pa.DataType:
    return pa.dictionary(pa.int32(), pa.string()) if name in texts else pa.int64()


def _read(body: bytes, names: Sequence[str], types: dict[str, pa.DataType]) -> pa.Table:
    return csv.read_csv(
        pa.BufferReader(body),
        # Threads would compete with the COPY that runs at the same time.
        read_options=csv.ReadOptions(
            column_names=list(names), use_threads=False, block_size=8 << 20
        ),
        parse_options=csv.ParseOptions(quote_char=False, ignore_empty_lines=False),
        convert_options=csv.ConvertOptions(column_types=types, null_values=[]),
    )


def _columns(
    table: pa.Table, rows: Integers, names: Sequence[str], texts: frozenset[str]
) -> Columns:
    def text(name: str) -> Text:
        column = table[name].unify_dictionaries().combine_chunks()
        if isinstance(column, pa.ChunkedArray):
            column = column.chunk(0)
        return Text(column.dictionary.to_pylist(), column.indices.to_numpy(zero_copy_only=False))

    return Columns(
        rows,
        {n: table[n].to_numpy() for n in names if n not in texts},
        {n: text(n) for n in names if n in texts},
    )


def _parse_carefully(
    lines: Lines, names: Sequence[str], texts: frozenset[str]
) -> tuple[Columns, list[Rejected]]:
    suspect = lines.with_bytes(0, ord("\r"))
    fits = np.flatnonzero((lines.commas == len(names) - 1) & ~suspect)
    good = fits
    table = None
    if len(fits):
        table = _read(lines.only(fits), names, dict.fromkeys(names, pa.string()))
        parses = np.ones(len(fits), dtype=np.bool_)
        for name in names:
            if name not in texts:
                pattern = f"^-?[0-9]{{1,{_DIGITS}}}$"
                parses &= pc.match_substring_regex(table[name], pattern).to_numpy()
        good = fits[parses]
        table = table.filter(pa.array(parses))
        fields = [pa.field(n, _type(n, texts)) for n in names]
        table = pa.table(
            [_cast(table[f.name], f.type) for f in fields], names=[f.name for f in fields]
        )
    bad = np.ones(len(lines), dtype=np.bool_)
    bad[good] = False
    rejected = [_diagnose(lines, int(row), names, texts) for row in np.flatnonzero(bad)]
    if table is None or not len(good):
        empty: Integers = np.empty(0, dtype=np.int64)
        none = Text([], np.empty(0, dtype=np.int32))
        return Columns(
            empty,
            {n: empty for n in names if n not in texts},
            {n: none for n in names if n in texts},
        ), rejected
    return _columns(table, good, names, texts), rejected


def _cast(column: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    return column.dictionary_encode() if pa.types.is_dictionary(kind) else column.cast(kind)


def _diagnose(lines: Lines, row: int, names: Sequence[str], texts: frozenset[str]) -> Rejected:
    raw = lines.raw(row)
    line = lines.body[lines.starts[row] : lines.ends[row]]
    try:
        fields = line.decode("utf-8").split(",")
    except UnicodeDecodeError:
        return Rejected(row, "not_utf8", raw)
    if len(fields) != len(names) or b"\0" in line or b"\r" in line:
        return Rejected(row, "malformed", raw)
    for name, field in zip(names, fields, strict=True):
        if name not in texts and (reason := _wrong_number(field)):
            return Rejected(row, reason, raw)
    # Only a text that is right to the byte, but not plain ASCII, comes here.
    return Rejected(row, "malformed", raw)


def _wrong_number(field: str) -> str | None:
    if _INTEGER.fullmatch(field):
        return "out_of_range" if len(field.lstrip("-")) > _DIGITS else None
    if _NAN.fullmatch(field):
        return "nan"
    return "not_an_integer" if _DECIMAL.fullmatch(field) else "not_a_number"
