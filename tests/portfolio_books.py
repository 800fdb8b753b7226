"""Executions written straight into the ledger, and an account of them in exact fractions."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from factories import add_instrument, open_session

KNOWN = datetime(2020, 1, 1, tzinfo=UTC)
"""When the first row became known; each one after that, a minute later."""


@dataclass
class Books:
    """A session's executions; `known` is when the last of them was."""

    conn: psycopg.Connection
    session: uuid.UUID
    known: datetime = KNOWN
    rows: dict[int, tuple[Any, ...]] = field(default_factory=dict)

    def fill(
        self,
        signed: int | str | Decimal,
        price: int | str | Decimal,
        fee: int | str | Decimal = 0,
        *,
        on: date | str = "2014-06-02",
        symbol: str = "IBM",
        account: str = "main",
        strategy: int = 1,
    ) -> int:
        """Book a fill, bought if positive; return its id."""
        quantity = Decimal(signed)
        side = "buy" if quantity > 0 else "sell"
        row = (account, strategy, add_instrument(self.conn, symbol), date.fromisoformat(str(on)))
        found = self._insert("fill", None, row, side, abs(quantity), price, fee)
        self.rows[found] = (row, side, abs(quantity), price, fee)
        return found

    def bust(self, execution_id: int) -> None:
        """Reverse what stands of a fill."""
        row, side, quantity, price, fee = self.rows[execution_id]
        self._insert("bust", execution_id, row, side, -quantity, price, -Decimal(fee))

    def correct(
        self, execution_id: int, quantity: int | str, price: int | str | Decimal, fee: Any = 0
    ) -> None:
        """Give a fill other terms."""
        row, side, old, old_price, old_fee = self.rows[execution_id]
        self._insert("correction", execution_id, row, side, -old, old_price, -Decimal(old_fee))
        self.known -= timedelta(minutes=1)
        self._insert("correction", execution_id, row, side, Decimal(quantity), price, fee)
        self.rows[execution_id] = (row, side, Decimal(quantity), price, fee)

    def _insert(
        self,
        kind: str,
        root: int | None,
        row: tuple[Any, ...],
        side: str,
        quantity: Decimal,
        price: Any,
        fee: Any,
    ) -> int:
        self.known += timedelta(minutes=1)
        account, strategy, instrument_id, day = row
        found = self.conn.execute(
            """insert into oms.executions (ts, session_id, account, strategy_id, instrument_id,
                venue_id, trade_date, exec_id, side, quantity, price, fee, kind, root_execution_id,
                message_id, message_at, recorded_at)
            values (%s, %s, %s, %s, %s, 1, %s, %s, %s, %s, %s, %s, %s, %s, 0, now(), %s)
            returning execution_id""",
            (
                datetime.combine(day, time(15), UTC),
                *(self.session, account, strategy, instrument_id, day, uuid.uuid4().hex, side),
                *(quantity, price, fee, kind, root, self.known),
            ),
        ).fetchone()
        assert found is not None
        return int(found[0])

    def rebuild(self) -> None:
        """Book the live positions anew from the rows written here."""
        self.conn.execute(
            """select portfolio._rebuild_position(%(s)s, account, strategy_id, instrument_id)
            from (select distinct account, strategy_id, instrument_id from oms.executions
                  where session_id = %(s)s) e""",
            {"s": self.session},
        )

    def query(self, statement: str, *arguments: Any) -> list[tuple[Any, ...]]:
        """Run a query whose last parameter is the session."""
        return self.conn.execute(statement, (*arguments, self.session)).fetchall()

    def broken(self) -> list[tuple[str, str]]:
        """Return the promises that do not hold."""
        rows = self.conn.execute(
            "select invariant, detail from portfolio.check_invariants(%s) where not passed",
            (self.session,),
        )
        return [(str(a), str(b)) for a, b in rows]


def books(conn: psycopg.Connection, **parameters: Any) -> Books:
    """Return the books of a new session."""
    return Books(conn, open_session(conn, **parameters))


def record(
    conn: psycopg.Connection, kind: str, fact: dict[str, Any], known: datetime | None = None
) -> str:
    """Record a fact of ref."""
    row = conn.execute(
        "select ref.record(%s, %s, %s)",
        (kind, Jsonb({k: str(v) for k, v in fact.items()}), known),
    ).fetchone()
    assert row is not None
    return str(row[0])


def closes(
    conn: psycopg.Connection,
    symbol: str,
    prices: Iterable[tuple[date | str, str | Decimal]],
    feed: str = "closes",
) -> None:
    """Store daily closes as a vendor's bars."""
    instrument_id = add_instrument(conn, symbol)
    conn.execute(
        "insert into ops.feeds (feed, format) values (%s, 'test') on conflict do nothing", (feed,)
    )
    with conn.cursor() as cursor:
        cursor.executemany(
            """insert into market._source_bars (ts, recv_ts, seq, close, instrument_id, source_id,
                feed_id, ns, flags, resolution, side)
            select %s::date::timestamp at time zone 'America/New_York', %s, 1, %s * 10000, %s, 1,
                feed_id, 0, 0, '1d', 'trade' from ops.feeds where feed = %s""",
            [(str(d), KNOWN, Decimal(p), instrument_id, feed) for d, p in prices],
        )


@dataclass
class Lot:
    """A lot in fractions; quantity and cost are negative when short."""

    opened_by: int
    quantity: Fraction
    cost: Fraction


@dataclass
class Account:
    """First-principles accounting of one position, lot by lot."""

    method: str
    lots: list[Lot] = field(default_factory=list)
    closed: list[tuple[int, int, Fraction, Fraction]] = field(default_factory=list)
    realized: Fraction = Fraction(0)
    cash: Fraction = Fraction(0)
    fees: Fraction = Fraction(0)

    @property
    def quantity(self) -> Fraction:
        """Return the position."""
        return sum((lot.quantity for lot in self.lots), Fraction(0))

    @property
    def cost(self) -> Fraction:
        """Return what the position cost."""
        return sum((lot.cost for lot in self.lots), Fraction(0))

    def trade(
        self, key: int, signed: Fraction, price: Fraction, fee: Fraction = Fraction(0)
    ) -> None:
        """Book a fill: unit after unit from the lots, then a lot of what is left."""
        self.cash -= signed * price + fee
        self.fees += fee
        while signed and self.lots and self.lots[0].quantity * signed < 0:
            lot = self.lots[-1 if self.method == "lifo" else 0]
            taken = min(abs(signed), abs(lot.quantity)) * (1 if lot.quantity > 0 else -1)
            cost = lot.cost * taken / lot.quantity
            gain = taken * price - cost
            self.realized += gain
            self.closed.append((lot.opened_by, key, taken, gain))
            lot.quantity -= taken
            lot.cost -= cost
            signed += taken
            if not lot.quantity:
                self.lots.remove(lot)
        if signed and self.method == "average" and self.lots:
            self.lots[0].quantity += signed
            self.lots[0].cost += signed * price
        elif signed:
            self.lots.append(Lot(key, signed, signed * price))


def account_of(fills: Sequence[tuple[int, Any, Any, Any]], method: str) -> Account:
    """Account for fills (key, signed, price, fee) in their order."""
    account = Account(method)
    for key, signed, price, fee in fills:
        account.trade(key, Fraction(signed), Fraction(price), Fraction(fee))
    return account
