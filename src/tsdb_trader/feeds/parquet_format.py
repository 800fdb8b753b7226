"""Format parquet: Parquet files with a mapping file, read batch by batch."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tsdb_trader.errors import InputError
from tsdb_trader.feeds import base
from tsdb_trader.feeds.base import Block, DataFile, Options, Rules
from tsdb_trader.feeds.csv_format import mapped_file
from tsdb_trader.feeds.csv_table import column_places
from tsdb_trader.feeds.files import find_files, open_plain, reading
from tsdb_trader.feeds.mapping import Mapping
from tsdb_trader.feeds.mapping_file import read_mapping
from tsdb_trader.feeds.mapping_rows import Decoder, RawBlock

_KNOWN: tuple[Callable[[pa.DataType], bool], ...] = (
    pa.types.is_integer,
    pa.types.is_floating,
    pa.types.is_decimal,
    pa.types.is_timestamp,
    pa.types.is_date,
    pa.types.is_time,
    pa.types.is_boolean,
    pa.types.is_string,
    pa.types.is_large_string,
    pa.types.is_dictionary,
)

_NAME = re.compile(r".*\.(parquet|pq)", re.IGNORECASE)


class ParquetFormat:
    """Reads Parquet files as a mapping file says."""

    name = "parquet"

    def __init__(self, options: Options) -> None:
        self._mapping = read_mapping(options.mapping, options.timezone, options.symbol)

    def discover(self, paths: Iterable[Path]) -> list[DataFile]:
        """Find Parquet files, and check that they have the mapped columns.

        Raises
        ------
        InputError
            A path cannot be read, is no Parquet file, or lacks a column.
        """
        files = find_files(paths, _NAME, "Parquet", "*.parquet")
        for path in files:
            with self._opened(path) as content:
                _schema(str(path), content, self._mapping)
        return [mapped_file(path, self._mapping) for path in files]

    def open(self, file: DataFile) -> BinaryIO:
        """Return the file itself."""
        return self._opened(file.path)

    def _opened(self, path: Path) -> BinaryIO:
        return open_plain(path) if path.suffix != ".gz" else path.open("rb")

    def decode(self, file: DataFile, content: BinaryIO, rules: Rules) -> Iterator[Block]:
        """Turn the rows into blocks.

        Raises
        ------
        InputError
            The file is damaged, has no rows, or not those that the mapping describes.
        """
        name = str(file.path)
        mapping = self._mapping
        if file.symbol is not None:
            mapping = replace(mapping, symbol=None)
        with reading(file.path):
            yield from Decoder(name, mapping, rules).decode(_blocks(name, content, mapping))


def _schema(name: str, content: BinaryIO, mapping: Mapping) -> pq.ParquetFile:
    try:
        file = pq.ParquetFile(content, pre_buffer=False)
        schema = file.schema_arrow
    # UnicodeDecodeError: the name of a column is not text.
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise InputError(f"{name}: no Parquet file, or a damaged one ({error})") from None
    column_places(name, schema.names, mapping.columns)
    for column in mapping.columns:
        kind = schema.field(column).type
        if not any(known(kind) for known in _KNOWN):
            raise InputError(f"{name}: column {column!r} is of type {kind}, which cannot be used")
    return file


def _blocks(name: str, content: BinaryIO, mapping: Mapping) -> Iterator[RawBlock]:
    file = _schema(name, content, mapping)
    batches = file.iter_batches(
        batch_size=base.BLOCK_ROWS, columns=mapping.columns, use_threads=False
    )
    while True:
        try:
            batch = next(batches, None)
        except (pa.ArrowException, OSError) as error:
            raise InputError(f"{name}: damaged ({error}); get the file anew") from None
        if batch is None:
            return
        if batch.num_rows:
            columns = {column: _plain(name, column, batch) for column in mapping.columns}
            rows = np.arange(batch.num_rows, dtype=np.int64)
            yield RawBlock(batch.num_rows, rows, columns, [], _raw(batch))


def _plain(name: str, column: str, batch: pa.RecordBatch) -> pa.Array:
    found = batch.column(batch.schema.get_field_index(column))
    try:
        if pa.types.is_dictionary(found.type):
            found = found.dictionary_decode()
        if pa.types.is_float16(found.type):
            found = found.cast(pa.float32())
        if pa.types.is_large_string(found.type):
            found = found.cast(pa.string())
        if pa.types.is_string(found.type):
            found.validate(full=True)
    except pa.ArrowException as error:
        raise InputError(f"{name}: column {column!r} cannot be read ({error})") from None
    return found


def _raw(batch: pa.RecordBatch) -> Callable[[int], str]:
    def raw(row: int) -> str:
        [values] = batch.slice(row, 1).to_pylist()
        return json.dumps(values, default=str).replace("\\u0000", "\\\\x00")

    return raw
