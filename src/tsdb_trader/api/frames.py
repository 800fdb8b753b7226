"""Any query as a pandas DataFrame, fast and typed, on a connection that cannot write."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, LiteralString

import pandas as pd
import pyarrow as pa
from psycopg import abc, adapt, pq, sql
from pyarrow import csv

from tsdb_trader.db import Connection, connect, translated
from tsdb_trader.errors import InputError

# Types that Arrow parses itself. The others come as text and are read as psycopg reads them.
_ARROW: Final[Mapping[str, Any]] = {
    "bool": pa.bool_(),
    "int2": pa.int64(),
    "int4": pa.int64(),
    "int8": pa.int64(),
    "float4": pa.float64(),
    "float8": pa.float64(),
    "numeric": pa.float64(),
    "date": pa.date32(),
    "timestamptz": pa.timestamp("us", tz="UTC"),
    "text": pa.string(),
    "varchar": pa.string(),
    "name": pa.string(),
    "uuid": pa.string(),
}
_PANDAS: Final[Mapping[Any, Any]] = {pa.string(): pd.StringDtype()}
_NUMBERS_AND_TIMES: Final = frozenset(n for n, t in _ARROW.items() if t != pa.string())


def open_reader(url: str | None = None, role: str = "tsdb_quant") -> Connection:
    """Connect to `url`, or to the configured database as `role`; no statement may change anything.

    Raises
    ------
    DatabaseUnavailableError
        The server cannot be reached or refuses the login.
    """
    conn = connect(
        url, role=None if url else role, autocommit=True, application_name="tsdb-trader research"
    )
    conn.execute("set default_transaction_read_only = on")
    return conn


def read_frame(
    conn: Connection, query: LiteralString, parameters: Mapping[str, object] | None = None
) -> pd.DataFrame:
    """Run a query and return its rows.

    They come as CSV and are parsed by Arrow, several times faster than as Python objects.

    Whole numbers become int64, or Int64 where one is null; other numbers float64 (the exact
    ``numeric`` stands in the database); times datetime64 in UTC, NaT where they are infinite; dates
    datetime64; text the string type; json, arrays and the rest Python objects.

    Parameters
    ----------
    query
        One statement that returns rows, with placeholders ``%(name)s``.

    Raises
    ------
    InputError
        Two columns have the same name, or a function of the database refuses a parameter.
    psycopg.Error
        The query is wrong, or changes something.
    """
    values = dict(parameters or {})
    with translated(), conn.cursor() as cursor:
        cursor.execute(sql.SQL("select * from ({}\n) q limit 0").format(sql.SQL(query)), values)
        described = cursor.description or []
        oids = {column.name: column.type_code for column in described}
        if len(oids) < len(described):
            raise InputError("two columns of the query have the same name: rename one with `as`")
        types = {name: _type_name(conn, oid) for name, oid in oids.items()}
        quoted = [sql.Identifier(n) for n, t in types.items() if t not in _NUMBERS_AND_TIMES]
        force = (
            sql.SQL(", force_quote ({})").format(sql.SQL(", ").join(quoted))
            if quoted
            else sql.SQL("")
        )
        statement = sql.SQL("copy (select * from ({}\n) q) to stdout (format csv{})").format(
            sql.SQL(query), force
        )
        with cursor.copy(statement, values) as copy:
            raw = b"".join(copy)
    table = _parse(raw, types)
    loaders = adapt.Transformer(conn)
    frame: pd.DataFrame = table.to_pandas(types_mapper=_PANDAS.get, date_as_object=False)
    for name in table.schema.names:
        column = table.column(name)
        if column.type == pa.int64() and column.null_count:
            frame[name] = column.to_pandas(types_mapper={pa.int64(): pd.Int64Dtype()}.get)
        elif types[name] not in _ARROW:
            loader = loaders.get_loader(oids[name], pq.Format.TEXT)
            frame[name] = pd.Series(_load(loader, column.to_pylist()), dtype=object)
    return frame


def _load(loader: abc.Loader, texts: list[str | None]) -> list[Any]:
    return [None if text is None else loader.load(text.encode()) for text in texts]


def _type_name(conn: Connection, oid: int) -> str:
    known = conn.adapters.types.get(oid)
    return "" if known is None or oid == known.array_oid else known.name


def _parse(raw: bytes, types: Mapping[str, str]) -> Any:
    schema = pa.schema([(name, _ARROW.get(t, pa.string())) for name, t in types.items()])
    if not raw:
        return schema.empty_table()
    return csv.read_csv(
        pa.BufferReader(raw),
        read_options=csv.ReadOptions(column_names=list(types)),
        parse_options=csv.ParseOptions(newlines_in_values=True),
        convert_options=csv.ConvertOptions(
            column_types=schema,
            # Text is quoted above, so what is not quoted can only be one of these.
            null_values=["", "infinity", "-infinity"],
            quoted_strings_can_be_null=False,
            strings_can_be_null=True,
            true_values=["t"],
            false_values=["f"],
        ),
    )
