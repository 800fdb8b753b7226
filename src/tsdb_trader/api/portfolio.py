"""Schema portfolio: positions, lots, P&L by day, equity and cash; see docs/portfolio.md."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Literal, TypeAlias
from uuid import UUID

from psycopg.rows import class_row, scalar_row

from tsdb_trader.db import Connection, translated

Method: TypeAlias = Literal["average", "fifo", "lifo", "specific"]


@dataclass(frozen=True)
class Position:
    """A row of ``portfolio.positions_at``; money in the instrument's currency."""

    account: str
    strategy: str
    symbol: str
    currency: str
    quantity: Decimal
    average_price: Decimal | None
    cost: Decimal
    realized_pnl: Decimal
    fees: Decimal
    cash: Decimal
    dividends: Decimal | None
    funding: Decimal | None


@dataclass(frozen=True)
class Lot:
    """A row of ``portfolio.lots``: what is left of an execution that opened."""

    account: str
    strategy_id: int
    symbol: str
    opening_execution_id: int | None
    opened_on: date | None
    quantity: Decimal
    cost: Decimal
    price: Decimal


@dataclass(frozen=True)
class DayPnl:
    """A row of ``portfolio.pnl_daily``; without a symbol it is cash."""

    trading_date: date
    account: str
    strategy: str | None
    symbol: str | None
    currency: str
    closing_quantity: Decimal | None
    closing_mark: Decimal | None
    mark_source: str | None
    realized: Decimal
    unrealized_change: Decimal | None
    fees: Decimal
    dividends: Decimal
    funding: Decimal
    total: Decimal | None
    fx: Decimal | None
    total_account: Decimal | None


@dataclass(frozen=True)
class Equity:
    """A row of ``portfolio.equity``, in the account's currency."""

    trading_date: date
    account: str
    currency: str
    cash: Decimal | None
    market_value: Decimal | None
    equity: Decimal | None
    flows: Decimal | None
    pnl: Decimal | None
    high_water_mark: Decimal | None
    drawdown: Decimal | None


def positions_at(
    conn: Connection,
    session_id: UUID,
    as_of: datetime | None = None,
    known_at: datetime | None = None,
    method: Method = "average",
) -> list[Position]:
    """Return the positions at a session time, as known at a time; all there is by default.

    Raises
    ------
    InputError
        The method is none of these.
    UnknownObjectError
        The session does not exist.
    """
    with translated():
        return (
            conn.cursor(row_factory=class_row(Position))
            .execute(
                """select account, strategy, symbol, currency, quantity, average_price, cost,
                       realized_pnl, fees, cash, dividends, funding
                   from portfolio.positions_at(coalesce(%s::timestamptz, 'infinity'),
                       coalesce(%s::timestamptz, 'infinity'), %s, %s)
                   order by account, strategy, symbol""",
                (as_of, known_at, method, session_id),
            )
            .fetchall()
        )


def lots(
    conn: Connection,
    session_id: UUID,
    as_of: datetime | None = None,
    known_at: datetime | None = None,
    method: Method = "fifo",
) -> list[Lot]:
    """Return the open lots at a session time, as known at a time. Raises as `positions_at`."""
    with translated():
        return (
            conn.cursor(row_factory=class_row(Lot))
            .execute(
                """select l.account, l.strategy_id, i.symbol, l.opening_execution_id, l.opened_on,
                       l.quantity, l.cost, l.price
                   from portfolio.lots(coalesce(%s::timestamptz, 'infinity'),
                       coalesce(%s::timestamptz, 'infinity'), %s, %s) l
                   join ref.instruments i using (instrument_id)
                   order by l.account, l.strategy_id, i.symbol, l.lot_no""",
                (as_of, known_at, method, session_id),
            )
            .fetchall()
        )


def pnl_daily(
    conn: Connection,
    session_id: UUID,
    first: date | None = None,
    last: date | None = None,
    known_at: datetime | None = None,
) -> list[DayPnl]:
    """Return the P&L of a session day by day, as known at a time. Raises as `positions_at`."""
    with translated():
        return (
            conn.cursor(row_factory=class_row(DayPnl))
            .execute(
                """select trading_date, account, strategy, symbol, currency, closing_quantity,
                       closing_mark, mark_source, realized, unrealized_change, fees, dividends,
                       funding, total, fx, total_account
                   from portfolio.pnl_daily_at(%s, %s, %s, coalesce(%s::timestamptz, 'infinity'))
                   order by trading_date, account, strategy, symbol, currency""",
                (session_id, first, last, known_at),
            )
            .fetchall()
        )


def equity(
    conn: Connection,
    session_id: UUID,
    last: date | None = None,
    known_at: datetime | None = None,
) -> list[Equity]:
    """Return the equity of a session's accounts day by day. Raises as `positions_at`."""
    with translated():
        return (
            conn.cursor(row_factory=class_row(Equity))
            .execute(
                """select trading_date, account, currency, cash, market_value, equity, flows, pnl,
                       high_water_mark, drawdown
                   from portfolio.equity_at(%s, %s, coalesce(%s::timestamptz, 'infinity'))
                   order by trading_date, account""",
                (session_id, last, known_at),
            )
            .fetchall()
        )


def book_cash(
    conn: Connection,
    session_id: UUID,
    account: str,
    kind: str,
    currency: str,
    amount: Decimal,
    as_of: datetime,
    reference: str,
    *,
    strategy: str | None = None,
    symbol: str | None = None,
    reason: str = "",
) -> int:
    """Book a deposit, withdrawal, funding, interest or the like; return the entry.

    Raises
    ------
    InputError
        The entry cannot be.
    UnknownObjectError
        A name in it is unknown.
    ConflictError
        The reference has another entry.
    """
    with translated():
        row = conn.execute(
            """select portfolio.book_cash(%s, %s, %s, %s, %s, %s, %s, %s, %s, p_reason => %s)""",
            (
                *(session_id, account, kind, currency, amount, as_of, reference),
                *(strategy, symbol, reason),
            ),
        ).fetchone()
    assert row is not None  # noqa: S101 - the function returns its row or raises
    return int(row[0])


def apply_corporate_actions(conn: Connection, session_id: UUID, trading_date: date) -> int:
    """Bring corporate actions up to a day into live positions; return how many changed.

    Raises
    ------
    UnknownObjectError
        The session does not exist.
    TransitionError
        It is over.
    """
    with translated():
        row = conn.execute(
            "select portfolio.apply_corporate_actions(%s, %s)", (session_id, trading_date)
        ).fetchone()
    assert row is not None  # noqa: S101 - the function returns its row or raises
    return int(row[0])


def clock_sessions(conn: Connection) -> list[UUID]:
    """Return the open sessions whose time is the clock's."""
    return (
        conn.cursor(row_factory=scalar_row)
        .execute(
            "select s.session_id from ops.sessions s "
            "where s.status = 'open' and s.kind in ('live', 'paper') order by s.opened_at"
        )
        .fetchall()
    )
