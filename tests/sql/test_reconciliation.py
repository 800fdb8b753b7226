"""Our books against those of others: differences become breaks, and people resolve them."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

from factories import Venue, open_session, order, set_quote, submit

DAY = "2013-10-08"


@pytest.fixture
def session(conn: psycopg.Connection) -> uuid.UUID:
    session_id = open_session(conn)
    set_quote(conn, session_id)
    return session_id


class Books:
    """Three filled orders here, and what somebody else has of them."""

    def __init__(self, conn: psycopg.Connection, session: uuid.UUID) -> None:
        self.conn = conn
        self.session = session
        self.orders: list[int] = []
        self.theirs: list[dict[str, Any]] = []
        for number in range(3):
            [(order_id, _, _)] = submit(conn, order(session))
            venue = Venue(conn, order_id)
            venue.fill(100, f"{100 - number}.50")
            self.orders.append(order_id)
            self.theirs.append(
                {
                    "exec_id": f"E{order_id}-1",
                    "cl_ord_id": venue.cl_ord_id,
                    "order_id": f"V{order_id}",
                    "symbol": "IBM",
                    "side": "buy",
                    "last_qty": "100",
                    "last_px": f"{100 - number}.50",
                    "trade_date": DAY,
                }
            )

    def told(self, source: str = "trade_capture", *, complete: bool = True) -> int:
        """Tell what they have; return how many were new."""
        row = self.conn.execute(
            "select oms.record_venue_trades('SIM', %s, %s, %s, %s)",
            (source, Jsonb(self.theirs), DAY, complete),
        ).fetchone()
        assert row is not None
        return int(row[0])

    def compare(self, grace: str = "0") -> int:
        row = self.conn.execute("select oms.reconcile_trades('SIM', %s)", (grace,)).fetchone()
        assert row is not None
        return int(row[0])

    def compare_flows(self, grace: str = "0") -> int:
        row = self.conn.execute("select oms.reconcile_flows('SIM', %s)", (grace,)).fetchone()
        assert row is not None
        return int(row[0])

    def breaks(self) -> list[tuple[str, str]]:
        rows = self.conn.execute(
            "select kind, source from oms.breaks where resolved_at is null order by break_id"
        )
        return rows.fetchall()

    def resolve(self, action: str, reason: str = "they are right") -> None:
        self.conn.execute(
            "select oms.resolve_break(break_id, %s, %s) from oms.breaks where resolved_at is null",
            (action, reason),
        )

    def audit(self) -> list[str]:
        rows = self.conn.execute("select action from oms.break_audit order by audit_id")
        return [action for (action,) in rows]

    def positions(self) -> list[tuple[str, Decimal]]:
        return self.conn.execute(
            "select account, quantity from portfolio._positions where quantity <> 0 order by 1"
        ).fetchall()


@pytest.fixture
def books(conn: psycopg.Connection, session: uuid.UUID) -> Books:
    return Books(conn, session)


def test_difference_that_was_kept_stays_resolved_until_a_side_changes(conn, books):
    books.theirs[0]["last_px"] = "98.00"
    books.told()
    assert books.compare() == 1
    books.resolve("keep_ours", "their typing error")
    for _ in range(2):
        assert books.compare() == 0
    assert books.breaks() == []
    assert books.compare_flows() == 0
    alerts = "select count(*) from ops.alerts where kind = 'break' and resolved_at is null"
    assert conn.execute(alerts).fetchone() == (0,)
    # Kept for other figures than there are now.
    conn.execute('update oms.breaks set theirs = theirs || \'{"price": "97"}\'')
    assert books.compare() == 1


SOURCES = ("trade_capture", "drop_copy", "clearing")


def test_equal_books_have_no_break(books):
    for source in SOURCES:
        assert books.told(source) == 3
        assert books.told(source) == 0, "the same again"
    assert books.compare() == 0
    assert books.breaks() == []


@pytest.mark.parametrize("source", SOURCES)
def test_injected_missing_duplicated_and_altered_fills_are_all_found(conn, books, source):
    # Missing here: they have one more. Duplicated here: we have one they lack. Altered: a price.
    books.theirs.append(books.theirs[0] | {"exec_id": "MISSING", "last_qty": "7"})
    duplicate = Venue(conn, submit(conn, order(books.session))[0][0])
    duplicate.fill(100, "100.50", exec_id="DUPLICATE")
    books.theirs[1] |= {"last_px": "99.51"}
    books.told(source)
    assert books.compare() == 3
    assert sorted(books.breaks()) == [
        ("execution_content", source),
        ("extra_execution", source),
        ("missing_execution", source),
    ]
    assert books.compare() == 3
    assert len(books.breaks()) == 3, "found again is not found anew"
    alerts = conn.execute("select count(*) from ops.alerts where kind = 'break'").fetchone()
    assert alerts == (3,)


@pytest.mark.parametrize(
    "change", [{"last_qty": "99"}, {"side": "sell"}, {"symbol": "BAC"}, {"last_px": "100.5001"}]
)
def test_any_altered_term_is_found(books, change):
    books.theirs[0] |= change
    books.told()
    assert books.compare() == 1
    assert books.breaks() == [("execution_content", "trade_capture")]


def test_incomplete_list_says_nothing_of_what_it_leaves_out(books):
    books.theirs.pop()
    books.told("drop_copy", complete=False)
    assert books.compare() == 0
    books.told("trade_capture", complete=True)
    assert books.compare() == 1
    assert books.breaks() == [("extra_execution", "trade_capture")]


def test_what_is_under_way_is_left_for_the_next_time(conn, books):
    [(order_id, _, _)] = submit(conn, order(books.session))
    books.theirs.append(books.theirs[0] | {"exec_id": f"E{order_id}-1", "last_px": "99"})
    books.told()
    assert books.compare("1 hour") == 0
    assert books.compare("0") == 1
    Venue(conn, order_id).fill(100, "99")
    assert books.compare() == 0
    assert books.breaks() == []
    assert books.audit() == ["opened", "agreed"]


def test_bust_and_correction_compare_by_what_stands(conn, books):
    venue = Venue(conn, books.orders[0])
    venue.report("trade_cancel", exec_id="B1", exec_ref_id=f"E{books.orders[0]}-1")
    books.told()
    assert books.compare() == 1, "they have not busted it"
    bust = books.theirs[0] | {"exec_id": "B1", "exec_type": "trade_cancel"}
    books.theirs.append(bust | {"exec_ref_id": f"E{books.orders[0]}-1"})
    books.told()
    assert books.compare() == 0
    correct = {
        "exec_id": "C1",
        "exec_ref_id": f"E{books.orders[1]}-1",
        "exec_type": "trade_correct",
    }
    books.theirs.append(books.theirs[1] | correct | {"last_px": "98.00"})
    books.told()
    assert books.compare() == 1
    changes = {"exec_id": "C1", "exec_ref_id": f"E{books.orders[1]}-1"}
    Venue(conn, books.orders[1]).report("trade_correct", last_qty="100", last_px="98", **changes)
    assert books.compare() == 0


def test_trade_that_a_later_clearing_file_has_not_any_more_was_taken_back(conn, books):
    books.told("clearing")
    Venue(conn, books.orders[0]).report(
        "trade_cancel", exec_id="B1", exec_ref_id=f"E{books.orders[0]}-1"
    )
    assert books.compare() == 1
    taken_back = books.theirs.pop(0)
    books.told("clearing")
    assert books.compare() == 0
    assert books.breaks() == []
    books.theirs.insert(0, taken_back)
    books.told("clearing")
    assert books.compare() == 1, "they have it again"


def test_source_that_contradicts_itself_is_a_break_and_its_first_word_stands(books):
    books.told("drop_copy", complete=False)
    books.theirs[0] |= {"last_px": "1.00"}
    books.told("drop_copy", complete=False)
    assert books.compare() == 0
    assert books.breaks() == [("execution_content", "drop_copy")]


def test_missing_execution_is_booked_only_by_a_persons_word_and_once(conn, books, connect_as):
    [(order_id, _, _)] = submit(conn, order(books.session))
    venue = Venue(conn, order_id)
    missing = {"exec_id": "M1", "cl_ord_id": venue.cl_ord_id, "last_qty": "40", "last_px": "99"}
    books.theirs.append(books.theirs[0] | missing)
    books.told()
    assert books.compare() == 1
    assert books.positions() == [("main", 300)], "nothing is booked by itself"
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        connect_as("tsdb_worker").execute("select oms.resolve_break(1, 'take_theirs', 'x')")
    connect_as("tsdb_operator").execute(
        "select oms.resolve_break(break_id, 'take_theirs', 'the line was down') from oms.breaks"
    )
    assert books.positions() == [("main", 340)]
    status = conn.execute(
        "select status, cumulative_quantity from oms.orders where order_id = %s", (order_id,)
    ).fetchone()
    assert status == ("partially_filled", 40)
    assert books.compare() == 0
    # The venue's own report comes late: it is known, and says nothing else.
    assert venue.fill(40, "99", exec_id="M1")[2] is False
    assert books.positions() == [("main", 340)]
    done = conn.execute(
        "select action, reason, done_by from oms.break_audit order by audit_id"
    ).fetchall()
    assert done[-1] == ("take_theirs", "the line was down", "tsdb_operator")
    assert conn.execute("select * from ops.check_orphans()").fetchall() == []


def test_missing_execution_of_nobodys_order_goes_to_suspense(books):
    books.theirs.append(books.theirs[0] | {"exec_id": "M1", "cl_ord_id": "NOBODY"})
    books.told()
    books.compare()
    books.resolve("take_theirs")
    assert books.positions() == [("main", 300), ("suspense", 100)]


def test_altered_and_extra_executions_are_corrected_and_busted(conn, books):
    books.theirs[1] |= {"last_px": "99.00"}
    books.theirs.pop(2)
    books.told()
    assert books.compare() == 2
    books.resolve("take_theirs")
    assert books.compare() == 0
    assert books.positions() == [("main", 200)]
    average = conn.execute(
        "select average_price from oms.orders where order_id = %s", (books.orders[1],)
    ).fetchone()
    assert average == (99,)
    assert conn.execute("select * from oms.verify_log()").fetchall() == []


def test_keep_ours_books_nothing_and_stays_resolved_until_it_is_found_again(books):
    books.theirs.pop()
    books.told()
    books.compare()
    books.resolve("keep_ours", "their list is wrong")
    assert books.breaks() == []
    assert books.positions() == [("main", 300)]


@pytest.mark.parametrize(
    ("arguments", "sqlstate"),
    [
        ((1, "keep_ours", ""), "TT001"),
        ((1, "forget", "why not"), "TT001"),
        ((1, None, "why not"), "TT001"),
        ((99, "keep_ours", "why not"), "TT002"),
    ],
)
def test_unusable_resolution_is_refused(books, arguments, sqlstate):
    books.theirs.pop()
    books.told()
    books.compare()
    with pytest.raises(psycopg.Error) as caught:
        books.conn.execute("select oms.resolve_break(%s, %s, %s)", arguments)
    assert caught.value.sqlstate == sqlstate
    books.resolve("keep_ours")
    with pytest.raises(psycopg.Error) as caught:
        books.conn.execute("select oms.resolve_break(1, 'keep_ours', 'again')")
    assert caught.value.sqlstate == "TT004"


@pytest.mark.parametrize(
    "change",
    [{"exec_id": None}, {"last_qty": "0"}, {"last_px": "x"}, {"side": "long"}, {"symbol": None}],
)
def test_unusable_trade_is_refused_and_nothing_of_its_list_is_taken(books, change):
    books.theirs[1] |= change
    with pytest.raises(psycopg.Error) as caught:
        books.told()
    assert caught.value.sqlstate == "TT001"
    assert books.conn.execute("select count(*) from oms.venue_trades").fetchone() == (0,)


# Working orders -----------------------------------------------------------------------------------


def listed(
    conn: psycopg.Connection, orders: list[dict[str, Any]], *, asked: datetime | None = None
):
    row = conn.execute(
        "select oms.reconcile_orders('SIM', 'mass_status', coalesce(%s, clock_timestamp()), %s)",
        (asked, Jsonb(orders)),
    ).fetchone()
    return row and row[0]


@pytest.fixture
def working(conn: psycopg.Connection, session: uuid.UUID) -> list[dict[str, Any]]:
    """Return the venue's list of two working orders."""
    found = []
    for _ in range(2):
        [(order_id, _, _)] = submit(conn, order(session))
        venue = Venue(conn, order_id)
        venue.report("new")
        venue.fill(30)
        found.append(
            {
                "cl_ord_id": venue.cl_ord_id,
                "order_id": f"V{order_id}",
                "ord_status": "partially_filled",
                "cum_qty": "30",
                "order_qty": "100",
                "price": "100.01",
            }
        )
    return found


def kinds(conn: psycopg.Connection) -> list[str]:
    rows = conn.execute("select kind from oms.breaks where resolved_at is null order by 1")
    return [kind for (kind,) in rows]


def test_equal_lists_have_no_break(conn, working):
    assert listed(conn, working) == 0


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({"cum_qty": "40"}, "quantity"),
        ({"order_qty": "90"}, "terms"),
        ({"price": "100.02"}, "terms"),
        ({"cl_ord_id": "NOBODY"}, "unknown_order"),
    ],
)
def test_differing_order_is_a_break_that_agreement_resolves(conn, working, change, kind):
    listed(conn, [working[0] | change, working[1]])
    assert kind in kinds(conn)
    assert listed(conn, working) == 0
    assert kinds(conn) == []


def test_order_the_venue_does_not_list_can_be_settled(conn, working):
    assert listed(conn, working[:1]) == 1
    assert kinds(conn) == ["status"]
    conn.execute("select oms.resolve_break(break_id, 'take_theirs', 'lost there') from oms.breaks")
    statuses = conn.execute("select status, leaves_quantity from oms.orders order by order_id")
    assert statuses.fetchall() == [("partially_filled", 70), ("cancelled", 0)]
    assert listed(conn, working[:1]) == 0


def test_fills_beyond_our_quantity_are_taken_as_what_the_order_is_for(conn, session):
    """A venue that lost its messages never told of the replace that it carried out."""
    order_id = submit(conn, order(session))[0][0]
    venue = Venue(conn, order_id)
    venue.report("new")
    venue.fill(100)
    venue.fill(20)
    assert kinds(conn) == ["quantity"]
    row = conn.execute(
        "select (oms.resolve_break(break_id, 'take_theirs', 'replaced there')).theirs->>'last_qty' "
        "from oms.breaks where resolved_at is null"
    ).fetchone()
    assert row == ("20",)
    found = conn.execute(
        "select quantity, cumulative_quantity, leaves_quantity, status from oms.orders"
    ).fetchall()
    assert found == [(120, 120, 0, "filled")]
    last = "select kind, order_quantity, detail->>'quantity' from oms.order_events order by event_no desc limit 1"
    assert conn.execute(last).fetchone() == ("settled", 120, "120")
    assert conn.execute("select * from oms.verify_log()").fetchall() == []


def test_quantity_break_of_executions_we_lack_has_nothing_to_take(conn, working):
    listed(conn, [working[0] | {"cum_qty": "40"}, working[1]])
    with pytest.raises(psycopg.Error, match="nothing to take") as caught:
        conn.execute("select oms.resolve_break(break_id, 'take_theirs', 'x') from oms.breaks")
    assert caught.value.sqlstate == "TT001"


def test_order_that_is_over_here_and_works_there_is_a_break(conn, working):
    conn.execute("select oms.settle_order(1, 'cancelled', 'test')")
    assert listed(conn, working) == 1
    assert kinds(conn) == ["status"]


def test_order_that_changed_since_the_question_is_left(conn, working):
    long_ago = datetime(2013, 1, 1, tzinfo=UTC)
    assert listed(conn, [], asked=long_ago) == 0


def test_order_under_way_is_left(conn, session, working):
    submit(conn, order(session))
    assert listed(conn, working) == 0


# Positions ----------------------------------------------------------------------------------------


def stated(conn: psycopg.Connection, session: uuid.UUID, *positions: tuple[str, str, str]) -> int:
    rows = [dict(zip(("account", "symbol", "quantity"), p, strict=True)) for p in positions]
    row = conn.execute(
        "select oms.reconcile_positions(%s, 'clearing', %s)", (session, Jsonb(rows))
    ).fetchone()
    assert row is not None
    return int(row[0])


def test_positions_that_differ_either_way_are_breaks(conn, session, books):
    assert stated(conn, session, ("main", "IBM", "300")) == 0
    assert stated(conn, session, ("main", "IBM", "299"), ("main", "BAC", "5")) == 2
    rows = conn.execute(
        "select reference, ours->>'quantity', theirs->>'quantity' from oms.breaks order by 1"
    ).fetchall()
    assert rows == [("main BAC", "0", "5"), ("main IBM", "300", "299")]
    assert stated(conn, session, ("main", "IBM", "300")) == 0
    assert kinds(conn) == []


def test_days_flow_that_differs_from_the_venues_list_is_a_break_until_it_agrees(books):
    missing = books.theirs.pop()
    books.told()
    assert books.compare_flows() == 1
    assert books.breaks() == [("position", "trade_capture")]
    ours, theirs, reference = books.conn.execute(
        "select ours->>'quantity', theirs->>'quantity', reference from oms.breaks"
    ).fetchone()
    assert (Decimal(ours), Decimal(theirs), reference) == (300, 200, f"{DAY} IBM")
    assert books.compare_flows() == 1, "the same break, not another"
    assert len(books.breaks()) == 1
    books.theirs.append(missing)
    books.told()
    assert books.compare_flows() == 0
    assert books.breaks() == []
    assert books.audit() == ["opened", "agreed"]


def test_flow_of_what_traded_after_the_list_waits_for_the_next_one(conn, books, session):
    books.told()
    [(order_id, _, _)] = submit(conn, order(session))
    Venue(conn, order_id).fill(100)
    assert books.compare_flows() == 0
    assert books.breaks() == []
    assert books.told() == 0
    assert books.compare_flows("1 hour") == 0, "within the grace"
    assert books.compare_flows() == 1


def test_alterations_that_cancel_out_are_found_singly_and_not_in_the_flow(books):
    books.theirs[0]["last_qty"], books.theirs[1]["last_qty"] = "90", "110"
    books.told()
    assert books.compare_flows() == 0
    assert books.compare() == 2


def test_drop_copy_alone_is_no_list_of_a_day(books):
    books.theirs.pop()
    books.told("drop_copy", complete=False)
    assert books.compare_flows() == 0


def test_days_told_long_ago_are_compared_when_asked_for(conn, books):
    books.theirs[0]["last_qty"] = "90"
    books.told()
    conn.execute("update oms.venue_trades set first_seen = first_seen - interval '5 days'")
    conn.execute("update oms.venue_statements set stated_at = stated_at - interval '5 days'")
    assert books.compare() == 0
    row = conn.execute("select oms.reconcile_trades('SIM', '0', null)").fetchone()
    assert row == (1,)
    assert books.compare() == 0
    assert books.breaks() == [("execution_content", "trade_capture")], "not compared, not resolved"


def test_position_statement_of_an_unknown_session_or_of_no_use_is_refused(conn, session):
    for arguments, sqlstate in (
        ((uuid.uuid4(), []), "TT002"),
        ((session, [{"account": "main"}]), "TT001"),
        ((session, [{"account": "main", "symbol": "IBM", "quantity": "many"}]), "TT001"),
    ):
        with pytest.raises(psycopg.Error) as caught:
            conn.execute(
                "select oms.reconcile_positions(%s, 'clearing', %s)",
                (arguments[0], Jsonb(arguments[1])),
            )
        assert caught.value.sqlstate == sqlstate


# Settling -----------------------------------------------------------------------------------------


def test_order_in_doubt_whose_venue_lost_its_books_is_settled_by_an_operator(conn, session):
    [(order_id, _, _)] = submit(conn, order(session))
    Venue(conn, order_id).report("new")
    conn.execute("select oms.cancel_order(%s, gen_random_uuid(), now())", (order_id,))
    conn.execute("select oms.begin_recovery('SIM')")
    Venue(conn, order_id).status("rejected", ord_rej_reason="unknown_order")
    assert kinds(conn) == ["status"]
    row = conn.execute(
        "select * from oms.settle_order(%s, 'cancelled', 'venue lost its journal')", (order_id,)
    ).fetchone()
    assert row == (order_id, "cancelled")
    assert kinds(conn) == []
    event = conn.execute(
        "select kind, detail->>'reason' from oms.order_events order by event_no desc limit 1"
    ).fetchone()
    assert event == ("settled", "venue lost its journal")
    assert conn.execute("select * from oms.pending_actions('SIM', 9)").fetchall() == []


@pytest.mark.parametrize(
    ("status", "reason", "sqlstate"),
    [("filled", "x", "TT001"), ("cancelled", "", "TT001"), (None, "x", "TT001")],
)
def test_unusable_settlement_is_refused(conn, session, status, reason, sqlstate):
    [(order_id, _, _)] = submit(conn, order(session))
    with pytest.raises(psycopg.Error) as caught:
        conn.execute("select oms.settle_order(%s, %s, %s)", (order_id, status, reason))
    assert caught.value.sqlstate == sqlstate


def test_settling_an_order_that_is_over_is_refused(conn, session, books):
    with pytest.raises(psycopg.Error) as caught:
        conn.execute("select oms.settle_order(%s, 'cancelled', 'x')", (books.orders[0],))
    assert caught.value.sqlstate == "TT004"
