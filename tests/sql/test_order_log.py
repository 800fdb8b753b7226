"""The order log: append-only whoever asks, and whatever gets changed all the same is found."""

from __future__ import annotations

import threading
import uuid
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg.types.json import Jsonb

from factories import AS_OF, Venue, open_session, order, set_quote, submit


@pytest.fixture
def session(conn: psycopg.Connection) -> uuid.UUID:
    session_id = open_session(conn)
    set_quote(conn, session_id)
    return session_id


@pytest.fixture
def orders(conn: psycopg.Connection, session: uuid.UUID) -> list[int]:
    """Return three orders with a few events each."""
    found = [submit(conn, order(session))[0][0] for _ in range(3)]
    for order_id in found:
        venue = Venue(conn, order_id)
        venue.report("new")
        venue.fill(30)
        venue.fill(70)
    return found


@pytest.fixture
def admin(connect_as: Any) -> psycopg.Connection:
    """Return a superuser's connection: nothing is protected from that one."""
    return connect_as("postgres")


def chunk_of(conn: psycopg.Connection) -> str:
    row = conn.execute("select public.show_chunks('oms.order_events')").fetchone()
    assert row is not None
    return str(row[0])


def findings(conn: psycopg.Connection, seals: list[dict[str, Any]] | None = None) -> set[str]:
    rows = conn.execute("select finding from oms.verify_log(%s)", (Jsonb(seals or []),))
    return {finding for (finding,) in rows}


def seal(conn: psycopg.Connection) -> list[dict[str, Any]]:
    rows = conn.execute("select seal_no, encode(digest, 'hex'), heads from oms.seal_log()")
    return [{"seal_no": n, "digest": d, "heads": h} for n, d, h in rows.fetchall()]


# Protection ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "statement",
    [
        "update {} set kind = 'x'",
        "delete from {}",
        "truncate {}",
        "drop table {}",
        "alter table {} disable trigger all",
        "alter table {} drop column hash",
        "alter table {} owner to current_user",
    ],
)
@pytest.mark.parametrize("target", ["table", "chunk"])
def test_owner_cannot_change_the_log_or_a_chunk_of_it(conn, orders, statement, target):
    name = "oms.order_events" if target == "table" else chunk_of(conn)
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        conn.execute(statement.format(name).encode())
    assert findings(conn) == set()


@pytest.mark.parametrize(
    "statement",
    [
        "select public.drop_chunks('oms.order_events', now() + interval '1 day')",
        "drop schema oms cascade",
        "alter schema oms owner to current_user",
        "drop trigger refuse_change on oms.order_events",
    ],
)
def test_owner_cannot_take_the_log_away(conn, orders, statement):
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        conn.execute(statement.encode())


@pytest.mark.parametrize("role", ["tsdb_worker", "tsdb_operator", "tsdb_quant", "tsdb_readonly"])
@pytest.mark.parametrize(
    "statement",
    [
        "update oms.order_events set kind = 'x'",
        "delete from oms.order_events",
        "truncate oms.order_events",
        "insert into oms.order_events (order_id) values (1)",
        "delete from oms.seals",
        "update oms.sealed_heads set hash = ''",
    ],
)
def test_other_roles_cannot_write_the_log(connect_as, orders, role, statement):
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        connect_as(role).execute(statement.encode())


def test_log_keeps_growing_through_new_chunks(conn, session, admin):
    admin.execute("select public.set_chunk_time_interval('oms.order_events', interval '1 second')")
    first = submit(conn, order(session))[0][0]
    threading.Event().wait(1.1)
    submit(conn, order(session))
    chunks = conn.execute("select public.show_chunks('oms.order_events')").fetchall()
    assert len(chunks) > 1
    for (chunk,) in chunks:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            conn.execute(f"truncate {chunk}".encode())
        with pytest.raises(psycopg.Error, match="append-only"):
            admin.execute(f"delete from {chunk}".encode())
    Venue(conn, first).report("new")
    assert findings(conn) == set()


# Tampering ----------------------------------------------------------------------------------------

UNGUARDED = "set session_replication_role = replica"


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (
            "update {} set cumulative_quantity = 31 where order_id = {o} and event_no = 3",
            "changed_event",
        ),
        ("update {} set kind = 'new' where order_id = {o} and event_no = 3", "changed_event"),
        (
            "update {} set as_of = as_of + interval '1 us' where order_id = {o} and event_no = 1",
            "changed_event",
        ),
        ("update {} set detail = '{{}}' where order_id = {o} and event_no = 3", "changed_event"),
        (
            "update {} set recorded_at = recorded_at - interval '1 us' where order_id = {o} and event_no = 2",
            "changed_event",
        ),
        ("delete from {} where order_id = {o} and event_no = 2", "missing_event"),
        ("delete from {} where order_id = {o} and event_no = 1", "missing_event"),
        ("delete from {} where order_id = {o} and event_no = 4", "cut_off"),
        ("delete from {} where order_id = {o}", "cut_off"),
        ("update oms.orders set status = 'cancelled' where order_id = {o}", "order_differs"),
        ("update oms.orders set cumulative_quantity = 99 where order_id = {o}", "order_differs"),
    ],
)
def test_tampering_is_found_in_its_order_alone(conn, admin, orders, change, found):
    assert findings(conn) == set()
    admin.execute(UNGUARDED)
    admin.execute(change.format(chunk_of(conn), o=orders[1]).encode())
    rows = conn.execute("select finding, order_id from oms.verify_log()").fetchall()
    assert (found, orders[1]) in rows
    assert {order_id for _, order_id in rows} == {orders[1]}


def test_rewritten_chain_is_found_by_the_seal(conn, admin, orders):
    [kept] = seal(conn)
    admin.execute(UNGUARDED)
    rewrite(admin, chunk_of(conn), orders[0])
    assert findings(conn) == {"changed_event"}
    rows = conn.execute("select order_id, event_no, seal_no from oms.verify_log()").fetchall()
    assert rows == [(orders[0], 4, kept["seal_no"])]


def test_cut_off_with_the_order_adjusted_is_found_by_the_seal(conn, admin, orders):
    seal(conn)
    admin.execute(UNGUARDED)
    admin.execute(
        f"delete from {chunk_of(conn)} where order_id = %s and event_no = 4".encode(), (orders[0],)
    )
    admin.execute(
        "update oms.orders o set event_count = 3, chain_hash = e.hash, status = e.to_status, "
        "cumulative_quantity = e.cumulative_quantity from oms.order_events e "
        "where e.order_id = o.order_id and e.event_no = 3 and o.order_id = %s",
        (orders[0],),
    )
    assert findings(conn) == {"cut_off"}


def test_rewritten_seal_is_found_by_the_copy_kept_outside(conn, admin, orders):
    [kept] = seal(conn)
    admin.execute(UNGUARDED)
    rewrite(admin, chunk_of(conn), orders[0])
    admin.execute(
        "update oms.sealed_heads h set hash = o.chain_hash from oms.orders o "
        "where o.order_id = h.order_id"
    )
    admin.execute("update oms.seals s set digest = oms._seal_digest(s.seal_no, '')")
    assert findings(conn) == set(), "the database alone cannot tell"
    assert findings(conn, [kept]) == {"seal_differs"}


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (
            "update oms.seals set digest = '\\x00' where seal_no = 1",
            {"changed_seal", "seal_differs"},
        ),
        (
            "update oms.sealed_heads set hash = '\\x00' where seal_no = 2",
            {"changed_seal", "changed_event"},
        ),
        ("delete from oms.sealed_heads where seal_no = 1", {"changed_seal"}),
        (
            "delete from oms.sealed_heads where seal_no = 1; delete from oms.seals where seal_no = 1",
            {"missing_seal", "changed_seal"},
        ),
        (
            "delete from oms.sealed_heads where seal_no = 2; delete from oms.seals where seal_no = 2",
            {"missing_seal"},
        ),
    ],
)
def test_changed_seals_are_found(conn, admin, session, orders, change, found):
    kept = seal(conn)
    submit(conn, order(session))
    kept += seal(conn)
    admin.execute(UNGUARDED)
    for statement in change.split("; "):
        admin.execute(statement.encode())
    assert findings(conn, kept) == found


def rewrite(admin: psycopg.Connection, chunk: str, order_id: int) -> None:
    """Change the last event of an order as a forger would: with its hash, and the order's."""
    admin.execute(
        f"update {chunk} set cumulative_quantity = 99, leaves_quantity = 1 "
        "where order_id = %s and event_no = 4".encode(),
        (order_id,),
    )
    admin.execute(
        f"update {chunk} e set hash = oms._event_hash(e.prev_hash, e) "
        "where order_id = %s and event_no = 4".encode(),
        (order_id,),
    )
    admin.execute(
        "update oms.orders o set cumulative_quantity = 99, quantity = 100, chain_hash = e.hash, "
        "status = 'filled' from oms.order_events e "
        "where e.order_id = o.order_id and e.event_no = 4 and o.order_id = %s",
        (order_id,),
    )
    admin.execute(
        f"update {chunk} set leaves_quantity = 0 where order_id = %s and event_no = 4".encode(),
        (order_id,),
    )
    admin.execute(
        f"update {chunk} e set hash = oms._event_hash(e.prev_hash, e) "
        "where order_id = %s and event_no = 4".encode(),
        (order_id,),
    )
    admin.execute(
        "update oms.orders o set chain_hash = e.hash from oms.order_events e "
        "where e.order_id = o.order_id and e.event_no = 4 and o.order_id = %s",
        (order_id,),
    )


# Seals --------------------------------------------------------------------------------------------


def test_seal_lists_what_moved_since_the_last_one(conn, session, orders):
    assert [s["heads"] for s in seal(conn)] == [3]
    assert seal(conn) == [], "nothing moved"
    late = submit(conn, order(session))[0][0]
    assert [s["heads"] for s in seal(conn)] == [1]
    heads = conn.execute("select order_id, event_no from oms.sealed_heads where seal_no = 2")
    assert heads.fetchall() == [(late, 1)]
    assert findings(conn) == set()


def test_seal_waits_for_no_order_and_misses_none(conn, database, session, orders):
    other = open_session(conn, "other")
    set_quote(conn, other)
    with psycopg.connect(database) as slow:
        slow.execute("set timezone = 'UTC'")
        late = submit(slow, order(session))[0][0]
        # Not committed, with a lower id than what commits meanwhile.
        early = submit(conn, order(other))[0][0]
        assert early > late
        assert [s["heads"] for s in seal(conn)] == [4], "three from before, and the one committed"
        slow.commit()
    assert len(seal(conn)) == 1
    heads = conn.execute("select order_id from oms.sealed_heads where seal_no = 2").fetchall()
    assert (late,) in heads
    assert findings(conn) == set()


def test_seal_goes_on_in_a_database_restored_where_transactions_count_anew(conn, admin, orders):
    seal(conn)
    admin.execute("update oms.seals set xact_horizon = '18446744073709551615'::xid8")
    session = open_session(conn, "after the restore")
    set_quote(conn, session)
    submit(conn, order(session))
    assert [s["heads"] for s in seal(conn)] == [1]


# Folding ------------------------------------------------------------------------------------------

EXEC_TYPES = ("new", "trade", "trade", "trade", "cancelled", "rejected", "expired", "done_for_day",
              "stopped", "suspended", "restated", "pending_cancel", "pending_replace", "replaced",
              "trade_cancel", "trade_correct", "calculated")  # fmt: skip
STEPS = st.one_of(
    st.tuples(st.sampled_from(EXEC_TYPES), st.integers(1, 120), st.integers(1, 8)),
    st.tuples(st.sampled_from(("cancel", "replace", "refuse", "recover", "status")),
              st.integers(1, 200), st.integers(1, 8)),
)  # fmt: skip
ORD_STATUSES = (
    "new",
    "partially_filled",
    "filled",
    "cancelled",
    "stopped",
    "suspended",
    "rejected",
)


def fold(events: list[tuple[Any, ...]]) -> tuple[Any, ...]:
    """Walk the events from the first; return where the last one leaves the order."""
    status: str | None = None
    count = 0
    for event_no, from_status, to_status, *_ in events:
        count += 1
        assert (event_no, from_status) == (count, status)
        status = to_status
    return (count, status, *events[-1][3:])


def test_events_fold_to_the_order_whatever_the_venue_says(conn, session):
    """No report, in any sequence, breaks an invariant or leaves order and log apart."""
    conn.execute("select risk.set_limit('position', '{}', 1000000000, 'test')")

    @settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(STEPS, min_size=1, max_size=14))
    def walk(steps: list[tuple[str, int, int]]) -> None:
        order_id, status, reasons = submit(conn, order(session))[0]
        assert status == "pending_new", reasons
        venue = Venue(conn, order_id)
        for step, number, choice in steps:
            take(conn, venue, step, number, choice)
            check(conn, order_id)
        conn.execute("select oms.cancel_all('{}', gen_random_uuid(), %s)", (AS_OF,))
        conn.execute("update oms.orders set status = status where order_id = %s", (order_id,))
        venue.report("cancelled")
        venue.report("cancelled")

    walk()
    assert findings(conn) == set()
    assert conn.execute("select * from ops.check_orphans()").fetchall() == []


def take(conn: psycopg.Connection, venue: Venue, step: str, number: int, choice: int) -> None:
    """Have the venue or us do something, sensible or not."""
    ids = [
        row[0]
        for row in conn.execute(
            "select cl_ord_id from oms.order_actions where order_id = %s order by action_id",
            (venue.order_id,),
        ).fetchall()
    ]
    cl_ord_id = ids[choice % len(ids)]
    ord_status = ORD_STATUSES[choice % len(ORD_STATUSES)]
    if step == "cancel":
        conn.execute("select oms.cancel_order(%s, gen_random_uuid(), %s)", (venue.order_id, AS_OF))
    elif step == "replace":
        conn.execute(
            "select oms.replace_order(%s, %s, gen_random_uuid(), %s)",
            (venue.order_id, Jsonb({"quantity": str(number)}), AS_OF),
        )
    elif step == "refuse":
        reason = "unknown_order" if choice % 2 else "too_late_to_cancel"
        venue.cancel_reject(cl_ord_id, cxl_rej_reason=reason, ord_status=ord_status)
    elif step == "recover":
        conn.execute("select oms.begin_recovery('SIM')")
    elif step == "status":
        venue.status(ord_status, ord_rej_reason="unknown_order" if choice == 1 else None)
    else:
        fields: dict[str, Any] = {"ord_status": ord_status, "cl_ord_id": cl_ord_id}
        if step in ("trade", "trade_correct"):
            fields |= {"last_qty": str(number), "last_px": f"{99 + choice / 8}"}
        if step in ("trade_cancel", "trade_correct"):
            fields["exec_ref_id"] = f"E{venue.order_id}-{choice}"
        if step in ("replaced", "restated"):
            fields["order_qty"] = str(number)
        venue.report(step, **fields)


def check(conn: psycopg.Connection, order_id: int) -> None:
    """Compare an order with its events, its executions and the invariants."""
    events = conn.execute(
        "select event_no, from_status, to_status, order_quantity, cumulative_quantity, "
        "leaves_quantity, average_price from oms.order_events where order_id = %s order by event_no",
        (order_id,),
    ).fetchall()
    row = conn.execute(
        "select event_count, status, quantity, cumulative_quantity, leaves_quantity, average_price, "
        "traded_value, is_live from oms.orders where order_id = %s",
        (order_id,),
    ).fetchone()
    assert row is not None
    *state, value, live = row
    assert fold(events) == tuple(state)
    _, status, quantity, filled, leaves, _ = state
    assert leaves == (max(quantity - filled, 0) if live else 0)
    assert (status == "filled") <= (filled >= quantity)
    booked = conn.execute(
        "select coalesce(sum(quantity), 0), coalesce(sum(quantity * price), 0) "
        "from oms.executions where order_id = %s",
        (order_id,),
    ).fetchone()
    assert booked == (filled, value)


def test_functions_that_write_the_log_are_one() -> None:
    """Only oms._log_event appends: a second writer could forget the chain."""
    folder = Path(__file__).resolve().parents[2] / "sql"
    writers = [
        path.name
        for path in folder.rglob("*.sql")
        if "insert into oms.order_events" in path.read_text()
    ]
    assert writers == ["_log_event.sql"]
