"""What a person does after a venue has lost its sequence numbers and an order: the runbook's steps."""

from __future__ import annotations

import csv
import shutil
import time
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TypeVar

import psycopg

from chaos.stage import COPY, VENUES
from tsdb_trader import clearing
from tsdb_trader.api import reconciliation

_AGAIN_S = 0.2
One = Callable[..., object]
_T = TypeVar("_T")
_TRADES = """
select json_agg(json_build_array('2013-10-07', t.exec_id, t.symbol, t.side, t.quantity, t.price, t.cl_ord_id))
from (
    select x.exec_id, x.symbol, x.side, sum(x.quantity) as quantity, x.price, x.cl_ord_id
    from venue.executions x
    where x.venue = %s and x.kind = 'execution' and (x.venue, x.exec_id) not in (
        select b.venue, b.reference_exec_id from venue.executions b where b.reference_exec_id is not null)
    group by 1, 2, 3, 5, 6) t
"""
# Of a break of kind status the venue's operators say what stands in their book.
_DECIDED = """
select json_agg(json_build_array(b.break_id, case when b.kind = 'status' then b.order_id end) order by b.break_id)
from oms.breaks b
left join oms.orders o using (order_id)
join ref.venues v on v.venue_id = b.venue_id
where b.resolved_at is null and v.venue = %s
    and (b.kind in ('missing_execution', 'extra_execution', 'execution_content') and b.source = 'clearing'
        or b.kind = 'quantity' and o.cumulative_quantity > o.quantity
        or b.kind = 'status' and o.is_live and not exists (
            select from venue.orders t
            where t.venue = v.venue and t.status in ('new', 'partially_filled')
                and t.root_cl_ord_id in (
                    select a.cl_ord_id from oms.order_actions a where a.order_id = o.order_id)))
"""
_WORKING = """
select min(o.order_no) from venue._orders o
where o.venue = %s and o.status = 'new' and o.cumulative_quantity = 0 and o.pending is null
    and o.order_no < (select max(order_no) from venue._orders x where x.venue = o.venue)
"""
_FORGET = """
with gone as (select %s as venue, %s as order_no),
    reports as (delete from venue._reports x using gone g where (x.venue, x.order_no) = (g.venue, g.order_no)),
    names as (delete from venue._cl_ord_ids x using gone g where (x.venue, x.order_no) = (g.venue, g.order_no))
delete from venue._orders x using gone g where (x.venue, x.order_no) = (g.venue, g.order_no) returning 1
"""
# A copy of a bust that was under way when the venue lost its numbers never comes; its book agrees with ours.
_KEPT = """
select json_agg(b.break_id)
from oms.breaks b
join ref.venues v using (venue_id)
where b.resolved_at is null and v.venue = %s and b.source = 'drop_copy'
    and (b.ours->>'quantity')::numeric = (
        select sum(x.quantity) from venue.executions x
        where x.venue = v.venue and b.ours->>'exec_id' in (x.exec_id, x.reference_exec_id))
"""
# A person is called.
HALTED = "select count(*) > 0 from ops.alerts where kind = 'fix_sequence' and resolved_at is null"


class Person:
    """Recovers from what no program may decide.

    Parameters
    ----------
    one
        Returns the first column of a query's first row, whatever the database does meanwhile.
    """

    def __init__(self, home: Path, url: str, one: One) -> None:
        self._home, self._url, self._one = home, url, one
        self.decisions = 0

    def lose_order(self, venue: str) -> int | None:
        """Let a venue that is stopped forget its oldest untouched order; return its number."""
        number = self._one(_WORKING, venue)
        if not isinstance(number, int):
            return None
        self._one(_FORGET, venue, number)
        return number

    def reset_sessions(self, venue: str) -> None:
        """Move the message stores of both sides aside, and close the alerts: both are stopped."""
        participants = [VENUES[venue][1], *([COPY[2]] if COPY[1] == venue else [])]
        aside = self._home / "aside" / f"{venue}-{time.monotonic_ns()}"
        aside.mkdir(parents=True)
        stores = [("gateway", f"{ours}-{venue}") for ours in participants]
        stores += [("venue", f"{venue}-{ours}") for ours in participants]
        for folder, name in stores:
            for part in ("body", "header", "seqnums", "session"):
                for path in (self._home / "fix" / folder).glob(f"FIX*-{name}.{part}"):
                    shutil.move(path, aside / f"{folder}-{path.name}")
        self._one(
            "update ops.alerts set resolved_at = clock_timestamp() "
            "where kind = 'fix_sequence' and resolved_at is null returning 1"
        )

    def compare_trades(self, venue: str) -> None:
        """Load the venue's clearing file, as of now: both sides are stopped or done."""
        file = self._home / "clearing.csv"
        with file.open("w", newline="") as out:
            rows = csv.writer(out)
            rows.writerow(
                ("trade_date", "exec_id", "symbol", "side", "quantity", "price", "cl_ord_id")
            )
            rows.writerows(self._one(_TRADES, venue) or [])  # type: ignore[arg-type]
        read = clearing.read_trades(file)
        self._insist(lambda conn: clearing.compare_trades(conn, venue, read))

    def keep(self, venue: str) -> None:
        """Keep ours where the drop copy differs and the venue's own book does not."""
        self._insist(lambda conn: reconciliation.reconcile_trades(conn, venue, timedelta()))
        for break_id in self._one(_KEPT, venue) or ():  # type: ignore[attr-defined]
            keep = partial(
                reconciliation.resolve_break,
                break_id=break_id, action="keep_ours", reason="their book",
            )  # fmt: skip
            self._insist(keep)
            self.decisions += 1

    def decide(self, venue: str) -> int:
        """Take the venue's word for what differs; return how often."""
        decided: int = self._insist(lambda conn: _decide(conn, venue))
        self.decisions += decided
        return decided

    def _insist(self, work: Callable[[psycopg.Connection], _T]) -> _T:
        """Do what can be done again until the database has answered."""
        while True:
            try:
                with psycopg.connect(self._url, autocommit=True) as conn:
                    return work(conn)
            except psycopg.OperationalError:
                time.sleep(_AGAIN_S)


def _decide(conn: psycopg.Connection, venue: str) -> int:
    row = conn.execute(_DECIDED, (venue,)).fetchone()
    found: list[tuple[int, int | None]] = row[0] or [] if row is not None else []
    for break_id, order_id in found:
        if order_id is None:
            reconciliation.resolve_break(conn, break_id, "take_theirs", "their book")
        else:
            reconciliation.settle_order(conn, order_id, "cancelled", "not in their book")
    return len(found)
