"""Rare records of DBN files, decoded one by one with the library, as `market.statuses` rows."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from types import ModuleType
from typing import Any

from tsdb_trader.feeds.base import EPOCH, Message
from tsdb_trader.feeds.dbn_layouts import (
    DEFINITION,
    STATUS,
    SYMBOL_MAPPING,
    UNDEFINED_PRICE,
    UNDEFINED_TIME,
)
from tsdb_trader.feeds.dbn_symbols import Symbols, usable

EPOCH_US = int(EPOCH.timestamp()) * 10**6
_KINDS: Mapping[int, str] = {
    DEFINITION: "definition",
    STATUS: "trading_status",
    SYMBOL_MAPPING: "symbol_mapping",
}
_LENGTHS: Mapping[int, tuple[int, int, int]] = {
    DEFINITION: (360, 400, 520),
    STATUS: (40, 40, 40),
    SYMBOL_MAPPING: (80, 176, 176),
}
"""Bytes of a record in each version of the format; the library ends the program over others."""
_PRICES = frozenset(
    {
        "min_price_increment",
        "display_factor",
        "high_limit_price",
        "low_limit_price",
        "max_price_variation",
        "unit_of_measure_qty",
        "min_price_increment_amount",
        "price_ratio",
        "strike_price",
        "leg_price",
        "leg_delta",
    }
)
_TIMES = frozenset({"ts_recv", "ts_event", "expiration", "activation", "start_ts", "end_ts"})


def decode(
    library: ModuleType,
    version: int,
    stamped: bool,
    symbols: Symbols,
    latest: int,
    row: int,
    raw: bytes,
) -> Message | str:
    """Return a record as a message, or why it is rejected.

    A definition and a symbol mapping also name an instrument from their row on.

    Parameters
    ----------
    version
        Of the file's format: layouts of definitions differ.
    stamped
        Whether the record has the time of its sending behind it.
    latest
        The last time that can be right, nanoseconds since 1970.
    row
        Number of the record.
    """
    if raw[1] not in _KINDS:
        return "unknown_type"
    if len(raw) != _LENGTHS[raw[1]][min(version, 3) - 1] + 8 * stamped:
        return "wrong_length"
    record = _record(library, version, stamped, raw)
    if record is None:
        return "malformed"
    try:
        detail = {name: _readable(name, getattr(record, name)) for name in record._ordered_fields}
        number, ts_event = int(record.instrument_id), int(record.ts_event)
        ts_recv = int(getattr(record, "ts_recv", UNDEFINED_TIME))
    except library.DBNError:
        return "malformed"
    if ts_event == UNDEFINED_TIME:
        ts_event = ts_recv
    if ts_recv == UNDEFINED_TIME:
        ts_recv = ts_event
    if max(ts_event, ts_recv) > latest:
        return "absurd_time"
    if raw[1] == STATUS:
        symbol = symbols.name(number, ts_recv, row)
        if symbol is None:
            return "unknown_instrument"
    else:
        symbol = str(record.raw_symbol if raw[1] == DEFINITION else record.stype_out_symbol).upper()
    if not usable(symbol):
        return "bad_symbol"
    if raw[1] != STATUS:
        symbols.announce(number, row, symbol)
    code = detail.get("security_update_action") or detail.get("action") or ""
    return message(row, symbol, ts_event, ts_recv, _KINDS[raw[1]], str(code), detail)


def message(
    row: int,
    symbol: str,
    ts_event: int,
    ts_recv: int,
    kind: str,
    code: str,
    detail: Mapping[str, Any],
) -> Message:
    """Return a row of market.statuses; times are nanoseconds since 1970."""
    columns = {"kind": kind, "code": code, "detail": dict(detail)}
    return Message(
        "statuses",
        ts_event // 1000 - EPOCH_US,
        row,
        columns,
        symbol,
        ts_event % 1000,
        ts_recv // 1000 - EPOCH_US,
    )


def _record(library: ModuleType, version: int, stamped: bool, raw: bytes) -> Any:
    """Decode one record; None when the library cannot."""
    decoder = library.DBNDecoder(
        has_metadata=False,
        ts_out=stamped,
        input_version=version,
        upgrade_policy=library.VersionUpgradePolicy.UPGRADE_TO_V3,
    )
    try:
        decoder.write(raw)
        records = decoder.decode()
    except library.DBNError:
        return None
    return records[0] if len(records) == 1 else None


def _readable(name: str, value: Any) -> Any:
    """Return a field as JSON can hold it: prices and times as text, enumerations as their codes."""
    if name in _PRICES:
        return None if value == UNDEFINED_PRICE else _decimal(int(value))
    if name in _TIMES:
        if value == UNDEFINED_TIME:
            return None
        whole = datetime.fromtimestamp(value // 10**9, UTC).strftime("%Y-%m-%dT%H:%M:%S")
        return f"{whole}.{value % 10**9:09d}Z"
    if isinstance(value, (bool, int, float, str)) or value is None:
        return value.replace("\0", "") if isinstance(value, str) else value
    return str(getattr(value, "value", value))


def _decimal(value: int) -> str:
    """Return a fixed-point number of nine decimals as text, without zeros at its end."""
    sign = "-" if value < 0 else ""
    whole, part = divmod(abs(value), 10**9)
    return f"{sign}{whole}.{part:09d}".rstrip("0").rstrip(".")
