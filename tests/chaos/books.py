"""Our books against the venues' and the desk's, order by order: what differs, one line each."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TypeAlias

import psycopg

from chaos.journal import Journal

# The market of a run comes from no file; what is archived is looked at here, venues losing their numbers and all.
_NOT_HERE = ("rows read", "every FIX message is archived")
Losses: TypeAlias = Sequence[tuple[str, datetime]]
_OVER = ("filled", "cancelled", "rejected", "expired", "denied")

_ORDERS = """
with ours as (
    select o.order_id, o.cl_ord_id, o.status, o.cumulative_quantity, o.quantity, v.venue,
        array_agg(a.cl_ord_id) as names
    from oms.orders o
    join ref.venues v using (venue_id)
    join oms.order_actions a using (order_id)
    where not o.is_parent
    group by o.order_id, v.venue),
theirs as (
    select venue, order_no, root_cl_ord_id, cl_ord_id, status, cumulative_quantity, quantity
    from venue.orders)
select coalesce(o.order_id::text, '-'), coalesce(o.venue, t.venue), o.status, t.status,
    o.cumulative_quantity, t.cumulative_quantity, coalesce(o.cl_ord_id, t.cl_ord_id), t.cl_ord_id
from ours o
full join theirs t on t.venue = o.venue and t.root_cl_ord_id = any (o.names)
where o.order_id is null
    or t.order_no is null and (o.cumulative_quantity <> 0 or o.status not in ('cancelled', 'rejected'))
    or o.cumulative_quantity <> t.cumulative_quantity
    or o.status <> t.status and not (o.status = 'rejected' and t.status is null)
    or t.cl_ord_id is not null and o.status in ('filled') and o.quantity <> t.quantity
"""
_TWICE = """
select venue, root_cl_ord_id, count(*) from venue.orders group by 1, 2 having count(*) > 1
"""
_EXECUTIONS = """
with ours as (
    select v.venue, e.exec_id, e.kind, sum(e.quantity) as quantity, count(*) as n,
        min(e.price) as low, max(e.price) as high, min(e.side) as side, bool_or(e.order_id is null) as lost
    from oms.executions e join ref.venues v using (venue_id)
    group by v.venue, e.exec_id, e.kind),
theirs as (
    select venue, exec_id, kind, sum(quantity) as quantity, count(*) as n,
        min(price) as low, max(price) as high, min(side) as side
    from venue.executions group by venue, exec_id, kind)
select coalesce(o.venue, t.venue), coalesce(o.exec_id, t.exec_id), o.kind, t.kind, o.quantity, t.quantity,
    o.n, t.n, o.side, t.side, o.lost
from ours o
full join theirs t on t.venue = o.venue and t.exec_id = o.exec_id
    and (t.kind = o.kind or t.kind = 'execution' and o.kind not in ('bust', 'correction'))
where o.exec_id is null or t.exec_id is null or o.quantity <> t.quantity or o.n <> t.n
    or o.low <> t.low or o.high <> t.high or o.side <> t.side or o.lost
"""
_POSITIONS = """
with fills as (
    select account, strategy_id, instrument_id,
        sum(case side when 'buy' then quantity else -quantity end) as quantity
    from oms.executions group by 1, 2, 3)
select account, instrument_id, f.quantity, p.quantity
from fills f full join portfolio.positions p using (account, strategy_id, instrument_id)
where coalesce(f.quantity, 0) <> coalesce(p.quantity, 0)
"""
# What was under way when a venue lost its numbers cannot be sent again: it is missing with everything after it,
# up to the moment both sides were stopped. What it said is in the books by the clearing file.
_NOT_ARCHIVED = """
select r.venue, r.exec_id from venue._reports r
where r.sent and r.exec_id is not null and r.session_id is not null
    and not exists (select from oms.fix_messages m where m.direction = 'in' and m.exec_id = r.exec_id)
    and not exists (
        select from unnest(%s::text[], %s::timestamptz[]) l (venue, at)
        where l.venue = r.venue and r.recorded_at < l.at and not exists (
            select from venue._reports s
            join oms.fix_messages m on m.direction = 'in' and m.msg_type in ('8', '9') and m.exec_id = s.exec_id
                and m.fix_session <> 'operator' and m.recorded_at < l.at
            where s.venue = r.venue and s.fix_session = r.fix_session and s.report_no > r.report_no
                and s.recorded_at < l.at))
"""
_SIMPLE = {
    "twice at the venue": _TWICE,
    "execution": _EXECUTIONS,
    "order": _ORDERS,
    "position": _POSITIONS,
    "stuck": "select order_id, status from oms.orders where is_live or awaits_venue or status = 'held'",
    "open break": "select break_id, kind, source, order_id, ours, theirs from oms.breaks "
    "where resolved_at is null",
    "log": "select * from oms.verify_log()",
    "parity": "select * from backtest.parity(%s)",
    "no signals": "select 'there are none' where not exists (select from signal.signals)",
    "orphans": "select * from ops.check_orphans()",
    "in suspense": "select exec_id from oms.executions where order_id is null",
    "trades differ": "select venue, n from (values ('SIM'), ('SIMPR'), ('SIMDARK')) v (venue) "
    "cross join lateral oms.reconcile_trades(venue, interval '0') n where n <> 0",
}


def differences(
    conn: psycopg.Connection, session_id: str, journal: Path, losses: Losses
) -> list[str]:
    """Return what is lost, duplicated, stuck or different; nothing if all is well.

    `losses` are the venues that lost their numbers, and when both sides were stopped for it.
    """
    found = _asked(conn, journal)
    parameters = ([venue for venue, _ in losses], [at for _, at in losses])
    found += [f"not archived: {row}" for row in conn.execute(_NOT_ARCHIVED, parameters)]
    for what, query in _SIMPLE.items():
        parameters = (session_id,) * query.count("%s")
        found += [f"{what}: {row}" for row in conn.execute(query, parameters).fetchall()]
    found += [
        f"invariant: {name}: {detail}"
        for name, detail in conn.execute(
            "select invariant, detail from ops.check_invariants(%s) where not passed", (session_id,)
        )
        if not name.startswith(_NOT_HERE)
    ]
    return found


def _asked(conn: psycopg.Connection, path: Path) -> list[str]:
    """Compare what the desk asked for and was told with the orders there are."""
    journal = Journal(path)
    there: dict[str, list[int]] = defaultdict(list)
    origins = conn.execute(
        "select request_id::text, order_id from oms.orders where succeeds_order_id is null "
        "and origin <> 'signal' order by request_leg"
    )
    for request_id, order_id in origins:
        there[request_id].append(order_id)
    found = [f"no answer: {r}" for r in journal.open()]
    for request in journal.requests.values():
        orders = there.pop(request.request_id, [])
        told = [row[0] for row in request.rows or []]
        if request.call in ("submit", "basket"):
            if orders != told:
                found.append(f"told {told}, there are {orders}: {request}")
        elif orders:
            found.append(f"orders of a {request.call}: {orders}")
        if request.refused is not None and not request.refused.startswith("TT"):
            found.append(f"failed: {request}")
    return found + [f"nobody asked for {ids} of {name}" for name, ids in there.items()]


def figures(conn: psycopg.Connection, journal: Path) -> dict[str, object]:
    """Return how much went on."""
    requests = list(Journal(journal).requests.values())
    row = conn.execute(
        "select (select count(*) from signal.signals), "
        "(select count(*) from oms.orders where origin = 'signal'), (select count(*) from oms.orders where status <> 'denied'), "
        "(select count(*) from oms.orders where status = 'denied'), "
        "(select count(*) from oms.executions), (select count(*) from oms.order_actions), "
        "(select count(*) from oms.fix_messages), (select count(*) from oms.breaks), "
        "(select json_object_agg(kind, n) from (select kind, count(*) n from ops.alerts group by 1) a),"
        "(select json_object_agg(status, n) from (select status, count(*) n from oms.orders group by 1) a),"
        "(select json_object_agg(kind, n) from (select kind, count(*) n from oms.breaks group by 1) a)"
    ).fetchone()
    assert row is not None
    names = ("signals", "orders of signals", "orders", "denied", "executions", "actions", "messages", "breaks", "alerts", "statuses", "break kinds")  # fmt: skip
    return {
        "requests": len(requests),
        "requests tried again": sum(r.tries > 1 for r in requests),
        **dict(zip(names, row, strict=True)),
    }
