"""The order path: submission, idempotency, baskets, reports, transitions."""

from __future__ import annotations

import uuid
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

from factories import AS_OF, Venue, open_session, order, set_quote, submit


@pytest.fixture
def session(conn: psycopg.Connection) -> uuid.UUID:
    session_id = open_session(conn)
    set_quote(conn, session_id)
    return session_id


@pytest.fixture
def order_id(conn: psycopg.Connection, session: uuid.UUID) -> int:
    return submit(conn, order(session))[0][0]


def state(conn: psycopg.Connection, order_id: int) -> tuple[Any, ...]:
    row = conn.execute(
        "select status, cumulative_quantity, leaves_quantity, average_price from oms.orders "
        "where order_id = %s",
        (order_id,),
    ).fetchone()
    assert row is not None
    return row


def one(conn: psycopg.Connection, statement: str, *arguments: Any) -> Any:
    row = conn.execute(statement, arguments).fetchone()
    return row[0] if row else None


def test_submit_within_limits_is_pending_new_with_action_event_and_decision(conn, session):
    [(order_id, status, reasons)] = submit(conn, order(session))
    assert (status, reasons) == ("pending_new", [])
    assert one(conn, "select count(*) from oms.order_actions where order_id = %s", order_id) == 1
    assert one(conn, "select to_status from oms.order_events where order_id = %s", order_id) == (
        "pending_new"
    )
    controls = conn.execute(
        "select control, passed from risk.checks where order_id = %s", (order_id,)
    ).fetchall()
    assert dict(controls) == {
        c: True for (c,) in conn.execute("select control from risk.controls").fetchall()
    }
    prefix = one(conn, "select prefix from ops.installation")
    assert one(conn, "select cl_ord_id from oms.orders").startswith(prefix + "-")


def test_submit_same_request_twice_returns_the_first_order(conn, session):
    request = uuid.uuid4()
    first = submit(conn, order(session), request_id=request)
    assert submit(conn, order(session), request_id=request) == first
    assert one(conn, "select count(*) from oms.orders") == 1


def test_submit_same_request_with_other_content_is_refused(conn, session):
    request = uuid.uuid4()
    submit(conn, order(session), request_id=request)
    with pytest.raises(psycopg.Error) as caught:
        submit(conn, order(session, quantity="101"), request_id=request)
    assert caught.value.sqlstate == "TT006"


@pytest.mark.parametrize(
    ("changes", "sqlstate", "says"),
    [
        ({"colour": "red"}, "TT001", 'order key "colour" is unknown'),
        ({"quantity": "NaN"}, "TT001", "quantity NaN is not a positive number"),
        ({"quantity": "0"}, "TT001", "quantity 0"),
        ({"quantity": "-5"}, "TT001", "quantity -5"),
        ({"quantity": "Infinity"}, "TT001", "quantity Infinity"),
        ({"quantity": "many"}, "TT001", 'order key "quantity" has the unusable value "many"'),
        ({"quantity": None}, "TT001", 'order key "quantity" is missing'),
        ({"account": None}, "TT001", 'order key "account" is missing'),
        ({"limit_price": None}, "TT001", "a limit order needs limit_price"),
        ({"limit_price": "NaN"}, "TT001", "limit_price NaN"),
        ({"limit_price": "0"}, "TT001", "limit_price 0"),
        ({"order_type": "market"}, "TT001", "a market order has no limit_price"),
        ({"order_type": "stop"}, "TT001", "a stop order has no limit_price"),
        ({"order_type": "iceberg"}, "TT001", 'order_type "iceberg"'),
        ({"stop_price": "1"}, "TT001", "stop_price needs a stop order"),
        ({"side": "long"}, "TT001", 'side "long"'),
        ({"time_in_force": "week"}, "TT001", 'time_in_force "week"'),
        ({"origin": "whim"}, "TT001", 'origin "whim"'),
        ({"operator": None}, "TT001", "needs its own id"),
        ({"operator": " "}, "TT001", "operator is a name"),
        ({"plan_id": 3}, "TT001", "needs its own id and no other"),
        ({"time_in_force": "gtd", "expire_at": AS_OF.isoformat()}, "TT001", "is not after the order's time"),
        ({"origin": "parent", "operator": None, "parent_order_id": 99}, "TT002", "parent order 99"),
        ({"symbol": "NOPE"}, "TT002", 'instrument "NOPE" does not exist'),
        ({"symbol": None}, "TT001", "either symbol or instrument_id"),
        ({"venue": "MOON"}, "TT002", 'venue "MOON"'),
        ({"account": "nobody"}, "TT002", 'account "nobody"'),
        ({"strategy": "luck"}, "TT002", 'strategy "luck"'),
        ({"session_id": str(uuid.UUID(int=7))}, "TT002", "does not exist"),
        ({"session_id": "x"}, "TT001", 'order key "session_id"'),
        ({"tags": [1]}, "TT001", "tags is a JSON object"),
    ],
)  # fmt: skip
def test_submit_unusable_order_is_refused_and_leaves_nothing(
    conn, session, changes, sqlstate, says
):
    with pytest.raises(psycopg.Error) as caught:
        submit(conn, order(session, **changes))
    assert caught.value.sqlstate == sqlstate
    assert says in str(caught.value)
    with pytest.raises(psycopg.Error) as caught:
        conn.execute(
            "select * from risk.check_order(%s, %s)", (Jsonb(order(session, **changes)), AS_OF)
        )
    assert (caught.value.sqlstate, says in str(caught.value)) == (sqlstate, True), "as a dry run"
    assert one(conn, "select count(*) from oms.requests") == 0
    assert one(conn, "select count(*) from oms.orders") == 0


@pytest.mark.parametrize("spec", ["3", '"buy"', "null", "[]"])
def test_submit_not_an_object_is_refused(conn, spec):
    with pytest.raises(psycopg.Error) as caught:
        conn.execute("select * from oms.submit_order(%s::jsonb, gen_random_uuid(), now())", (spec,))
    assert caught.value.sqlstate == "TT001"


@pytest.mark.parametrize("level", ["repeatable read", "serializable"])
def test_order_path_under_other_isolation_is_refused(conn, session, level):
    conn.execute(f"set default_transaction_isolation to '{level}'")
    with pytest.raises(psycopg.Error) as caught:
        submit(conn, order(session))
    assert caught.value.sqlstate == "TT003"


def test_basket_with_one_denied_leg_denies_all(conn, session):
    set_quote(conn, session, "AIG", 49.99, 50.01)
    result = submit(
        conn,
        [
            order(session),
            order(session, symbol="AIG", limit_price="50.01", quantity="1000000"),
        ],
    )
    assert [status for _, status, _ in result] == ["denied", "denied"]
    assert result[0][2] == ["basket: another order of it was denied"]
    assert any(reason.startswith("order_quantity:") for reason in result[1][2])
    assert one(conn, "select count(*) from oms.order_actions") == 0


def test_basket_legs_of_one_instrument_count_together_for_the_position(conn, session):
    conn.execute("select risk.set_limit('position', '{}', 150, 'test')")
    result = submit(conn, [order(session), order(session, operator="bob")])
    assert [status for _, status, _ in result] == ["denied", "denied"]
    assert any(reason.startswith("position: 200") for reason in result[1][2])


def test_basket_legs_of_other_instruments_and_sides_do_not_count_for_a_position(conn, session):
    set_quote(conn, session, "AIG", 49.99, 50.01)
    conn.execute("select risk.set_limit('position', '{}', 100, 'test')")
    result = submit(
        conn,
        [
            order(session),
            order(session, symbol="AIG", limit_price="50.01"),
            order(session, side="sell", limit_price="99.99"),
        ],
    )
    assert [(status, reasons) for _, status, reasons in result] == [("pending_new", [])] * 3


def test_report_life_of_an_order_from_ack_to_filled(conn, order_id):
    venue = Venue(conn, order_id)
    assert venue.report("new")[1] == "new"
    assert venue.fill(40, "100.00")[1] == "partially_filled"
    assert venue.fill(60, "100.01")[1] == "filled"
    assert state(conn, order_id) == ("filled", 100, 0, Decimal("100.0060000000000000"))
    assert one(conn, "select count(*) from oms.executions") == 2
    assert one(conn, "select quantity from portfolio.positions") == 100


def test_report_repeated_with_same_exec_id_changes_nothing(conn, order_id):
    venue = Venue(conn, order_id)
    venue.report("new")
    venue.fill(40)
    venue.count -= 1
    venue.cumulative -= 40
    assert venue.fill(40) == (order_id, "partially_filled", False)
    assert state(conn, order_id)[1] == 40
    assert one(conn, "select quantity from portfolio.positions") == 40
    assert one(conn, "select count(*) from oms.fix_messages where direction = 'in'") == 3
    assert one(conn, "select count(*) from oms.breaks") == 0


def test_report_same_exec_id_with_other_content_is_a_break(conn, order_id):
    venue = Venue(conn, order_id)
    venue.fill(40)
    venue.count -= 1
    venue.cumulative -= 40
    assert venue.fill(41)[2] is False
    assert one(conn, "select kind from oms.breaks") == "execution_content"
    assert one(conn, "select quantity from portfolio.positions") == 40
    assert one(conn, "select kind from ops.alerts") == "break"


def test_report_fill_without_acknowledgement_and_ack_after_fill(conn, order_id):
    venue = Venue(conn, order_id)
    assert venue.fill(100)[1] == "filled"
    assert venue.report("new", cum_qty="0")[1] == "filled"
    assert one(conn, "select count(*) from oms.breaks") == 0


def test_report_fill_after_cancel_books_it(conn, order_id):
    venue = Venue(conn, order_id)
    venue.report("new")
    venue.report("cancelled")
    assert venue.fill(30)[1] == "cancelled"
    assert state(conn, order_id)[:3] == ("cancelled", 30, 0)
    assert venue.fill(70)[1] == "filled"
    assert one(conn, "select quantity from portfolio.positions") == 100


def test_report_reject_keeps_the_reason(conn, order_id):
    Venue(conn, order_id).report("rejected", text="no market")
    assert one(conn, "select reasons from oms.orders") == ["venue: no market"]
    assert state(conn, order_id)[:3] == ("rejected", 0, 0)


def test_report_unlisted_move_is_a_break_not_a_change(conn, order_id):
    venue = Venue(conn, order_id)
    venue.report("rejected")
    assert venue.report("cancelled")[1] == "rejected"
    assert one(conn, "select kind from oms.breaks") == "status"


def test_report_more_than_ordered_is_booked_and_a_break(conn, order_id):
    venue = Venue(conn, order_id)
    assert venue.fill(130)[1] == "filled"
    assert one(conn, "select quantity from portfolio.positions") == 130
    assert one(conn, "select kind from oms.breaks") == "quantity"


def test_report_fill_of_unknown_order_goes_to_suspense(conn, order_id):
    venue = Venue(conn, order_id)
    venue.cl_ord_id = "STRANGER-1"
    assert venue.fill(10) == (None, None, True)
    assert conn.execute("select account, quantity from portfolio.positions").fetchall() == [
        ("suspense", 10)
    ]
    assert one(conn, "select kind from oms.breaks") == "unknown_order"
    assert venue.fill(5)[2] is True
    assert one(conn, "select quantity from portfolio.positions") == 15


@pytest.mark.parametrize(("quantity", "price"), [("0", "1"), ("NaN", "1"), ("5", "0"), (None, "1")])
def test_report_fill_with_impossible_numbers_is_refused_whole(conn, order_id, quantity, price):
    with pytest.raises(psycopg.Error) as caught:
        Venue(conn, order_id).report("trade", last_qty=quantity, last_px=price)
    assert caught.value.sqlstate == "TT001"
    assert one(conn, "select count(*) from oms.execution_keys") == 0


def test_report_missing_executions_break_resolves_when_they_arrive(conn, order_id):
    venue = Venue(conn, order_id)
    venue.fill(10, cum_qty="30")
    assert one(conn, "select resolved_at is null from oms.breaks") is True
    venue.fill(20, cum_qty="30")
    assert one(conn, "select resolved_at is null from oms.breaks") is False


def cancel(conn: psycopg.Connection, order_id: int, request: uuid.UUID | None = None) -> Any:
    return conn.execute(
        "select * from oms.cancel_order(%s, %s, %s)", (order_id, request or uuid.uuid4(), AS_OF)
    ).fetchone()


def test_cancel_of_a_working_order_is_queued_once(conn, order_id):
    venue = Venue(conn, order_id)
    venue.report("new")
    request = uuid.uuid4()
    assert cancel(conn, order_id, request) == (order_id, "pending_cancel", [])
    assert cancel(conn, order_id, request)[1] == "pending_cancel"
    assert cancel(conn, order_id)[2] == ["a cancel is under way already"]
    actions = conn.execute(
        "select kind, orig_cl_ord_id from oms.order_actions order by action_id"
    ).fetchall()
    assert actions == [("new", None), ("cancel", venue.cl_ord_id)]
    assert venue.report("cancelled", orig_cl_ord_id=venue.cl_ord_id)[1] == "cancelled"


def test_cancel_of_a_filled_order_says_so(conn, order_id):
    Venue(conn, order_id).fill(100)
    assert cancel(conn, order_id) == (order_id, "filled", ["the order is filled already"])


def test_cancel_of_unknown_order_is_an_error(conn):
    with pytest.raises(psycopg.Error) as caught:
        cancel(conn, 12345)
    assert caught.value.sqlstate == "TT002"


def test_cancel_rejected_returns_the_order_to_what_it_was(conn, order_id):
    venue = Venue(conn, order_id)
    venue.report("new")
    venue.fill(10)
    cancel(conn, order_id)
    cancel_id = one(conn, "select cl_ord_id from oms.order_actions where kind = 'cancel'")
    assert venue.cancel_reject(cancel_id)[1] == "partially_filled"
    assert cancel(conn, order_id)[1] == "pending_cancel"


def test_fill_while_cancel_is_pending_keeps_it_pending(conn, order_id):
    venue = Venue(conn, order_id)
    venue.report("new")
    cancel(conn, order_id)
    assert venue.fill(10)[1] == "pending_cancel"
    assert venue.fill(90)[1] == "filled"
    assert one(conn, "select count(*) from oms.breaks") == 0


def test_transition_not_listed_is_refused_by_the_table(conn, order_id):
    with pytest.raises(psycopg.Error) as caught:
        conn.execute("update oms.orders set status = 'held' where order_id = %s", (order_id,))
    assert caught.value.sqlstate == "TT004"


@pytest.mark.parametrize(
    "statement", ["update oms.order_events set kind = 'x'", "delete from oms.order_events"]
)
def test_history_cannot_be_changed(conn, order_id, statement):
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        conn.execute(statement)
    conn.execute("set role tsdb_log")
    with pytest.raises(psycopg.Error, match="append-only"):
        conn.execute(statement)


def test_recovery_marks_doubt_and_unknown_order_goes_again(conn, order_id):
    asked = conn.execute("select order_id, status from oms.begin_recovery('SIM')").fetchall()
    assert asked == [(order_id, "unknown")]
    assert conn.execute("select * from oms.pending_actions('SIM', 10)").fetchall() == []
    venue = Venue(conn, order_id)
    assert venue.status("rejected", ord_rej_reason="unknown_order")[1] == "pending_new"
    [row] = conn.execute(
        "select cl_ord_id, possible_resend from oms.pending_actions('SIM', 10)"
    ).fetchall()
    assert row == (venue.cl_ord_id, True)


def test_recovery_order_known_to_the_venue_takes_its_status_and_is_not_sent_again(conn, order_id):
    conn.execute("select * from oms.begin_recovery('SIM')")
    assert Venue(conn, order_id).status("new")[1] == "new"
    assert conn.execute("select * from oms.pending_actions('SIM', 10)").fetchall() == []


def test_recovery_cancel_in_doubt_goes_again_with_its_own_id(conn, order_id):
    venue = Venue(conn, order_id)
    venue.report("new")
    cancel(conn, order_id)
    conn.execute("select oms.record_sent(%s)", (_sent(conn, "cancel"),))
    conn.execute("select * from oms.begin_recovery('SIM')")
    assert venue.status("new")[1] == "pending_cancel"
    assert conn.execute("select kind from oms.pending_actions('SIM', 10)").fetchall() == [
        ("cancel",)
    ]


def test_recovery_venue_has_filled_more_than_we_know_is_a_break_until_executions_arrive(
    conn, order_id
):
    venue = Venue(conn, order_id)
    conn.execute("select * from oms.begin_recovery('SIM')")
    assert venue.status("filled", cum_qty="100")[1] == "unknown"
    assert one(conn, "select kind from oms.breaks where resolved_at is null") is not None
    assert venue.fill(100)[1] == "filled"
    assert (
        one(conn, "select count(*) from oms.breaks where kind = 'quantity' and resolved_at is null")
        == 0
    )


def _sent(conn: psycopg.Connection, kind: str) -> Any:
    from psycopg.types.json import Jsonb

    action = one(conn, "select action_id from oms.order_actions where kind = %s", kind)
    return Jsonb(
        [{"action_id": action, "fix_session": "S", "seqnum": 1, "msg_type": "F", "raw": "raw"}]
    )


def test_sent_message_is_archived_and_marks_the_action_once(conn, order_id):
    conn.execute("select oms.record_sent(%s)", (_sent(conn, "new"),))
    conn.execute("select oms.record_sent(%s)", (_sent(conn, "new"),))
    assert one(conn, "select status from oms.order_actions") == "sent"
    assert one(conn, "select count(*) from oms.fix_messages") == 2
    assert conn.execute("select * from oms.pending_actions('SIM', 10)").fetchall() == []


def test_events_fold_to_the_order(conn, order_id):
    venue = Venue(conn, order_id)
    venue.report("new")
    venue.fill(40)
    cancel(conn, order_id)
    venue.report("cancelled")
    folded = conn.execute(
        "select to_status, cumulative_quantity, leaves_quantity, average_price from oms.order_events "
        "where order_id = %s order by event_no desc limit 1",
        (order_id,),
    ).fetchone()
    assert folded == state(conn, order_id)
    numbers = conn.execute(
        "select array_agg(event_no order by event_no) from oms.order_events"
    ).fetchone()
    assert numbers == ([1, 2, 3, 4, 5],)
