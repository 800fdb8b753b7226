"""FIX sessions as rows, and the outbox as gateways see it."""

from __future__ import annotations

import uuid
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

from factories import AS_OF, Venue, open_session, order, set_quote, submit


def add(conn: psycopg.Connection, name: str = "X", venue: str = "SIM", **settings: Any) -> None:
    conn.execute("select oms.add_fix_session(%s, %s, %s)", (name, venue, Jsonb(settings)))


def configure(conn: psycopg.Connection, name: str, **changes: Any) -> None:
    conn.execute("select oms.configure_fix_session(%s, %s)", (name, Jsonb(changes)))


def test_shipped_sessions_are_those_of_the_simulated_venues(conn):
    rows = conn.execute(
        "select fix_session, venue, s.kind, version, sender, target, host, port, silence_s, s.status "
        "from oms.fix_sessions s join ref.venues v using (venue_id) order by venue_id"
    ).fetchall()
    assert rows == [
        (v, v, "order", "FIX.4.4", "TSDB", v, None, None, None, "active")
        for v in ("SIM", "SIMPR", "SIMDARK")
    ]


def test_session_added_has_the_venue_as_target_and_a_dead_mans_switch(conn):
    add(conn, "SIM-COPY", kind="drop_copy", sender="COPY", throttle_per_s=50)
    row = conn.execute(
        "select kind, sender, target, throttle_per_s, silence_s::integer, status "
        "from oms.fix_sessions where fix_session = 'SIM-COPY'"
    ).fetchone()
    assert row == ("drop_copy", "COPY", "SIM", 50, 5, "active")


def test_session_added_again_with_the_same_settings_changes_nothing(conn):
    add(conn, kind="drop_copy", sender="COPY")
    add(conn, kind="drop_copy", sender="COPY")
    with pytest.raises(psycopg.Error, match="exists with other settings") as error:
        add(conn, kind="drop_copy", sender="OTHER")
    assert error.value.sqlstate == "TT006"


@pytest.mark.parametrize(
    ("name", "venue", "settings", "sqlstate", "message"),
    [
        ("a b", "SIM", {}, "TT001", "cannot be a name"),
        ("X", "NYSE", {}, "TT002", 'venue "NYSE" does not exist'),
        ("X", "SIM", {"sender": "Y", "colour": 1}, "TT001", '"colour" is no setting'),
        ("X", "SIM", {"sender": "Y", "venue_id": 1}, "TT001", '"venue_id" is no setting'),
        ("X", "SIM", {"version": "FIX.9"}, "TT001", "version"),
        ("X", "SIM", {"sender": "Y", "port": 70000}, "TT001", "port"),
        ("X", "SIM", {"sender": "Y", "port": "high"}, "TT001", "integer"),
        ("X", "SIM", {"version": "FIX.4.2", "sender": None}, "TT001", "sender"),
        ("X", "SIM", {"sender": "Y", "silence_s": 60}, "TT001", "silence_s"),
        ("X", "SIM", {"sender": "OTHER"}, "TT001", "has an active order session already"),
        ("X", "SIM", {}, "TT001", "another one has the same version, sender and target"),
    ],
)
def test_session_that_cannot_be_is_refused(conn, name, venue, settings, sqlstate, message):
    with pytest.raises(psycopg.Error, match=message) as error:
        add(conn, name, venue, **settings)
    assert error.value.sqlstate == sqlstate
    assert conn.execute("select count(*) from oms.fix_sessions").fetchone() == (3,)


def test_setting_changed_to_null_is_taken_away_and_the_gateway_is_told(conn):
    conn.execute("listen oms_fix_sessions")
    configure(conn, "SIM", mass_status_every_s=None, throttle_per_s=10)
    row = conn.execute(
        "select mass_status_every_s, throttle_per_s from oms.fix_sessions where fix_session = 'SIM'"
    ).fetchone()
    assert row == (None, 10)
    assert [n.channel for n in conn.notifies(timeout=5, stop_after=1)] == ["oms_fix_sessions"]


def test_settings_of_an_unknown_session_or_no_object_are_refused(conn):
    with pytest.raises(psycopg.Error, match="does not exist") as error:
        configure(conn, "NONE", status="inactive")
    assert error.value.sqlstate == "TT002"
    with pytest.raises(psycopg.Error, match="no JSON object"):
        conn.execute("select oms.configure_fix_session('SIM', '[]')")


def test_worker_reads_sessions_and_only_operators_change_them(connect_as):
    worker = connect_as("tsdb_worker_gateway")
    assert worker.execute("select count(*) from oms.fix_sessions").fetchone() == (3,)
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        configure(worker, "SIM", status="inactive")
    configure(connect_as("tsdb_operator"), "SIM", status="inactive")


# The outbox -------------------------------------------------------------------------------------


@pytest.fixture
def session(conn: psycopg.Connection) -> uuid.UUID:
    session_id = open_session(conn)
    set_quote(conn, session_id)
    return session_id


@pytest.fixture
def order_id(conn: psycopg.Connection, session: uuid.UUID) -> int:
    return submit(conn, order(session))[0][0]


def cancel(conn: psycopg.Connection, order_id: int) -> None:
    conn.execute("select oms.cancel_order(%s, %s, %s)", (order_id, uuid.uuid4(), AS_OF))


def replace(conn: psycopg.Connection, order_id: int, **changes: Any) -> None:
    conn.execute(
        "select oms.replace_order(%s, %s, %s, %s)", (order_id, Jsonb(changes), uuid.uuid4(), AS_OF)
    )


def pending(conn: psycopg.Connection, limit: int = 10) -> list[tuple[int, str, int]]:
    return conn.execute(
        "select action_id, kind, order_id from oms.pending_actions('SIM', %s)", (limit,)
    ).fetchall()


def send_all(conn: psycopg.Connection) -> None:
    messages = [
        {"action_id": a, "fix_session": "S", "seqnum": a, "msg_type": k, "raw": k}
        for a, k, _ in pending(conn)
    ]
    conn.execute("select oms.record_sent(%s)", (Jsonb(messages),))


def refuse(conn: psycopg.Connection, action_id: int, reason: str = "cannot say it") -> str:
    row = conn.execute("select oms.refuse_action(%s, %s)", (action_id, reason)).fetchone()
    assert row is not None
    return str(row[0])


def state(conn: psycopg.Connection, order_id: int) -> Any:
    return conn.execute(
        "select status, reasons, pending_quantity from oms.orders where order_id = %s", (order_id,)
    ).fetchone()


def test_cancel_overtakes_orders_that_wait_but_not_its_own(conn, session, order_id):
    send_all(conn)
    Venue(conn, order_id).report("new")
    queued = [submit(conn, order(session))[0][0] for _ in range(3)]
    cancel(conn, queued[1])
    cancel(conn, order_id)
    found = [(kind, order_id) for _, kind, order_id in pending(conn)]
    assert found == [
        ("cancel", order_id),
        ("new", queued[0]),
        ("new", queued[1]),
        ("new", queued[2]),
        ("cancel", queued[1]),
    ]
    assert [(kind, order_id) for _, kind, order_id in pending(conn, 2)] == found[:2]


def test_queue_is_counted_and_its_age_known(conn, session, order_id):
    submit(conn, order(session))
    conn.execute(
        "update oms.order_actions set recorded_at = recorded_at - interval '90 s' "
        "where order_id = %s",
        (order_id,),
    )
    queued, oldest_s = conn.execute("select * from oms.queued_actions('SIM')").fetchone()
    assert queued == 2
    assert 90 <= oldest_s < 120
    assert conn.execute("select * from oms.queued_actions('SIMPR')").fetchone() == (0, 0)


def test_stale_actions_are_old_orders_and_replaces_never_cancels(conn, session, order_id):
    send_all(conn)
    Venue(conn, order_id).report("new")
    cancel(conn, order_id)
    late = submit(conn, order(session))[0][0]
    conn.execute("update oms.order_actions set recorded_at = recorded_at - interval '90 s'")
    submit(conn, order(session))
    rows = conn.execute("select oms.stale_actions('SIM', interval '60 s')").fetchall()
    orders = {action_id: order_id for action_id, _, order_id in pending(conn)}
    assert [orders[row[0]] for row in rows] == [late]
    conn.execute("select * from oms.begin_recovery('SIM')")
    assert conn.execute("select oms.stale_actions('SIM', interval '60 s')").fetchall() == []


def test_refused_order_is_rejected_with_the_gateways_reason(conn, order_id):
    cancel(conn, order_id)
    action_id = pending(conn)[0][0]
    assert refuse(conn, action_id) == "rejected"
    assert state(conn, order_id) == ("rejected", ["gateway: cannot say it"], None)
    assert pending(conn) == []
    event = conn.execute(
        "select kind, from_status, to_status, detail->>'text' from oms.order_events "
        "where order_id = %s order by event_no desc limit 1",
        (order_id,),
    ).fetchone()
    assert event == ("refused", "pending_cancel", "rejected", "gateway: cannot say it")


@pytest.mark.parametrize("filled", [0, 40])
@pytest.mark.parametrize("kind", ["replace", "cancel"])
def test_refused_change_leaves_the_order_as_it_was(conn, order_id, kind, filled):
    send_all(conn)
    venue = Venue(conn, order_id)
    venue.report("new")
    if filled:
        venue.fill(filled)
    replace(conn, order_id, quantity="150") if kind == "replace" else cancel(conn, order_id)
    was = "partially_filled" if filled else "new"
    assert refuse(conn, pending(conn)[0][0]) == was
    assert state(conn, order_id) == (was, [], None)
    assert pending(conn) == []


@pytest.mark.parametrize("kind", ["replace", "cancel"])
def test_refused_change_of_an_unacknowledged_order_leaves_it_unacknowledged(conn, order_id, kind):
    send_all(conn)
    replace(conn, order_id, quantity="150") if kind == "replace" else cancel(conn, order_id)
    assert refuse(conn, pending(conn)[0][0]) == "pending_new"


def test_refused_replace_with_a_cancel_under_way_stays_pending_cancel(conn, order_id):
    send_all(conn)
    Venue(conn, order_id).report("new")
    replace(conn, order_id, quantity="150")
    cancel(conn, order_id)
    action_id = next(a for a, kind, _ in pending(conn) if kind == "replace")
    assert refuse(conn, action_id) == "pending_cancel"
    assert state(conn, order_id)[2] is None


def test_refused_replace_of_a_suspended_order_leaves_it_suspended(conn, order_id):
    send_all(conn)
    venue = Venue(conn, order_id)
    venue.report("new")
    venue.report("suspended")
    replace(conn, order_id, quantity="150")
    assert refuse(conn, pending(conn)[0][0]) == "suspended"


def test_action_sent_or_unknown_is_not_refused(conn, order_id):
    action_id = pending(conn)[0][0]
    send_all(conn)
    assert refuse(conn, action_id) == "pending_new"
    with pytest.raises(psycopg.Error, match="does not exist") as error:
        refuse(conn, -1)
    assert error.value.sqlstate == "TT002"


def test_trade_dates_are_those_of_session_time(conn, order_id):
    query = "select oms.trade_dates('SIM', clock_timestamp() - interval '%s')"
    assert [str(r[0]) for r in conn.execute(query % "1 hour").fetchall()] == ["2013-10-08"]
    assert conn.execute("select oms.trade_dates('SIM', 'infinity')").fetchall() == []
