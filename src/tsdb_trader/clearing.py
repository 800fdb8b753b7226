"""Clearing files: the trades and positions that somebody else has booked for us, as CSV."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, Final, TypeAlias

from tsdb_trader.api import reconciliation
from tsdb_trader.db import Connection
from tsdb_trader.errors import InputError

Trades: TypeAlias = dict[date, list[dict[str, Any]]]

_TRADE: Final = ("trade_date", "exec_id", "symbol", "side", "quantity", "price")
_TRADE_TOO: Final = ("cl_ord_id", "order_id", "account")
_POSITION: Final = ("account", "symbol", "quantity")
_SIDES: Final = {
    "buy": "buy",
    "b": "buy",
    "1": "buy",
    "sell": "sell",
    "s": "sell",
    "2": "sell",
    "sell_short": "sell_short",
    "ss": "sell_short",
    "5": "sell_short",
}


def read_trades(path: Path) -> Trades:
    """Return the trades of a file by day, as ``oms.record_venue_trades`` wants them.

    Columns: trade_date (ISO), exec_id, symbol, side (buy, sell, sell_short, or B, S, SS), quantity,
    price; cl_ord_id and order_id where there are any; account is allowed and left.

    Raises
    ------
    InputError
        The file cannot be read, or a line cannot be used; the message names it.
    """
    found: Trades = {}
    seen: dict[tuple[date, str], int] = {}
    for number, row in _rows(path, _TRADE, _TRADE_TOO):
        where = f"{path}: line {number}"
        try:
            day = date.fromisoformat(row["trade_date"])
        except ValueError:
            raise InputError(f"{where}: trade_date {row['trade_date']!r} is no date") from None
        side = _SIDES.get(row["side"].lower())
        if side is None:
            raise InputError(f"{where}: side {row['side']!r} is none of buy, sell, sell_short")
        if not row["exec_id"] or not row["symbol"]:
            raise InputError(f"{where}: exec_id and symbol must not be empty")
        if (first := seen.setdefault((day, row["exec_id"]), number)) != number:
            raise InputError(f"{where}: exec_id {row['exec_id']} stands in line {first} already")
        trade = {
            "trade_date": day.isoformat(),
            "exec_id": row["exec_id"],
            "symbol": row["symbol"],
            "side": side,
            "last_qty": str(_positive(where, "quantity", row["quantity"])),
            "last_px": str(_positive(where, "price", row["price"])),
        }
        more = {key: row[key] for key in ("cl_ord_id", "order_id") if row.get(key)}
        found.setdefault(day, []).append(trade | more)
    return found


def read_positions(path: Path) -> list[dict[str, str]]:
    """Return the positions of a file: account, symbol, quantity (signed).

    Raises
    ------
    InputError
        The file cannot be read, or a line cannot be used; the message names it.
    """
    found = []
    for number, row in _rows(path, _POSITION, ()):
        where = f"{path}: line {number}"
        if not row["account"] or not row["symbol"]:
            raise InputError(f"{where}: account and symbol must not be empty")
        found.append(row | {"quantity": f"{_number(where, 'quantity', row['quantity']):f}"})
    return found


def compare_trades(conn: Connection, venue: str, trades: Mapping[date, Sequence[Any]]) -> int:
    """Record a clearing file's trades and compare them with ours; return the differences."""
    with conn.transaction():
        for day, rows in trades.items():
            reconciliation.record_venue_trades(
                conn, venue, "clearing", rows, trade_date=day, complete=True
            )
    return reconciliation.reconcile_trades(conn, venue, timedelta(0))


def _rows(
    path: Path, needed: Sequence[str], allowed: Sequence[str]
) -> Iterator[tuple[int, dict[str, str]]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, strict=True)
            header = reader.fieldnames or []
            missing = [name for name in needed if name not in header]
            unknown = [name for name in header if name not in (*needed, *allowed)]
            if missing or unknown or len(set(header)) != len(header):
                raise InputError(
                    f"{path}: the header has to be {','.join(needed)} (it is {','.join(header)})"
                )
            for row in reader:
                if None in row or None in row.values():
                    raise InputError(f"{path}: line {reader.line_num} has not {len(header)} fields")
                yield reader.line_num, {key: value.strip() for key, value in row.items()}
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: cannot be read ({error})") from None


def _number(where: str, name: str, text: str) -> Decimal:
    try:
        value = Decimal(text)
    except InvalidOperation:
        raise InputError(f"{where}: {name} {text!r} is no number") from None
    if not value.is_finite():
        raise InputError(f"{where}: {name} {text!r} is no number")
    return value


def _positive(where: str, name: str, text: str) -> Decimal:
    value = _number(where, name, text)
    if value <= 0:
        raise InputError(f"{where}: {name} {text!r} is not positive")
    return value
