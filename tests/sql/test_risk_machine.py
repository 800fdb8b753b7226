"""The position and exposure limits against a model of their own, over random lives of orders."""

from __future__ import annotations

import uuid
from decimal import Decimal
from typing import Any

import psycopg
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)
from psycopg.types.json import Jsonb

from factories import AS_OF, Venue, open_session, order, set_quote, submit

LIMIT = 300
# At the mark of 100; looser than the position's, so that each of them binds at times.
GROSS = 45_000
SYMBOLS = ("IBM", "AIG")


class Working:
    """What the model knows of a working order."""

    def __init__(self, symbol: str, sign: int, quantity: int, venue: Venue) -> None:
        self.symbol, self.sign, self.quantity, self.venue = symbol, sign, quantity, venue
        self.filled = 0
        self.wanted: int | None = None

    @property
    def exposed(self) -> int:
        return max(self.quantity, self.wanted or 0) - self.filled


class Desk(RuleBasedStateMachine):
    """Submits, fills, replaces and cancels; the model says which orders pass."""

    conn: psycopg.Connection
    orders = Bundle("orders")

    def __init__(self) -> None:
        super().__init__()
        self.session = open_session(self.conn, str(uuid.uuid4()))
        for symbol in SYMBOLS:
            set_quote(self.conn, self.session, symbol)
        self.position = dict.fromkeys(SYMBOLS, 0)
        self.working: list[Working] = []

    def side(self, symbol: str, sign: int, but: Working | None = None) -> int:
        """Return what works on one side of a symbol."""
        return sum(
            w.exposed for w in self.working if (w.symbol, w.sign) == (symbol, sign) and w is not but
        )

    def gross(self, symbol: str, sign: int, adds: int, but: Working | None = None) -> int:
        """Return the exposure with an order added: each symbol on its worse side, at the mark."""
        total = 0
        for s in SYMBOLS:
            more = {side: self.side(s, side, but) for side in (1, -1)}
            if s == symbol:
                more[sign] += adds
            total += max(abs(self.position[s] + more[1]), abs(self.position[s] - more[-1])) * 100
        return total

    def passes(self, symbol: str, sign: int, adds: int, but: Working | None = None) -> bool:
        worst = sign * self.position[symbol] + self.side(symbol, sign, but) + adds
        return worst <= 0 or (worst <= LIMIT and self.gross(symbol, sign, adds, but) <= GROSS)

    @rule(
        target=orders,
        symbol=st.sampled_from(SYMBOLS),
        sign=st.sampled_from((1, -1)),
        quantity=st.integers(1, 350),
    )
    def submit(self, symbol: str, sign: int, quantity: int) -> Any:
        spec = order(
            self.session, symbol=symbol, side="buy" if sign > 0 else "sell_short",
            quantity=str(quantity), limit_price="100",
        )  # fmt: skip
        expected = self.passes(symbol, sign, quantity)
        [(order_id, status, reasons)] = submit(self.conn, spec)
        assert (status == "pending_new") == expected, reasons
        if status == "denied":
            return multiple()
        self.working.append(Working(symbol, sign, quantity, Venue(self.conn, order_id)))
        return self.working[-1]

    @rule(work=orders, share=st.floats(0.1, 1))
    def fill(self, work: Working, share: float) -> None:
        if work not in self.working:
            return
        quantity = max(1, int((work.quantity - work.filled) * share))
        work.venue.fill(quantity, "100")
        work.filled += quantity
        self.position[work.symbol] += work.sign * quantity
        if work.filled == work.quantity:
            self.working.remove(work)

    @rule(work=orders, quantity=st.integers(1, 350))
    def replace(self, work: Working, quantity: int) -> None:
        if work not in self.working or work.wanted is not None:
            return
        if quantity in (work.quantity, work.filled) or quantity < work.filled:
            return
        work.venue.report("new")
        expected = self.passes(work.symbol, work.sign, quantity - work.filled, work)
        row = self.conn.execute(
            "select reasons from oms.replace_order(%s, %s, gen_random_uuid(), %s)",
            (work.venue.order_id, Jsonb({"quantity": quantity}), AS_OF),
        ).fetchone()
        assert row is not None
        assert (row[0] == []) == expected, row
        if not expected:
            return
        work.wanted = quantity

    @rule(work=orders, accepted=st.booleans())
    def answer_replace(self, work: Working, accepted: bool) -> None:
        if work not in self.working or work.wanted is None:
            return
        row = self.conn.execute(
            "select cl_ord_id from oms.order_actions where order_id = %s and kind = 'replace' "
            "order by action_id desc limit 1",
            (work.venue.order_id,),
        ).fetchone()
        assert row is not None
        if not accepted:
            work.venue.cancel_reject(row[0])
        elif work.wanted > work.filled:
            work.venue.report(
                "replaced", cl_ord_id=row[0], orig_cl_ord_id=work.venue.cl_ord_id,
                order_qty=str(work.wanted), price="100",
            )  # fmt: skip
            work.venue.cl_ord_id, work.quantity = row[0], work.wanted
        else:
            return
        work.wanted = None

    @rule(work=consumes(orders))
    def end(self, work: Working) -> None:
        if work not in self.working:
            return
        work.venue.report("cancelled")
        self.working.remove(work)

    @invariant()
    def books_agree_and_limits_hold(self) -> None:
        rows = self.conn.execute(
            "select symbol, quantity from portfolio.positions where session_id = %s",
            (self.session,),
        ).fetchall()
        assert dict.fromkeys(SYMBOLS, 0) | {s: int(q) for s, q in rows} == self.position
        observed = self.conn.execute(
            "select o.symbol_id, sum(o.exposed) from (select instrument_id as symbol_id, "
            "oms._exposed(x) as exposed from oms.orders x where session_id = %s and is_live) o group by 1",
            (self.session,),
        ).fetchall()
        assert sum(q for _, q in observed) == Decimal(sum(w.exposed for w in self.working))
        for symbol in SYMBOLS:
            for sign in (1, -1):
                assert sign * self.position[symbol] + self.side(symbol, sign) <= LIMIT


def test_limits_hold_over_any_life_of_orders(conn: psycopg.Connection) -> None:
    conn.execute("select risk.set_limit('position', '{}', %s, 'test')", (LIMIT,))
    conn.execute("select risk.set_limit('gross_exposure', '{}', %s, 'test')", (GROSS,))
    Desk.conn = conn
    run_state_machine_as_test(
        Desk,
        settings=settings(
            max_examples=12,
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
