"""The life of an order, one message sequence per case: what is submitted, what the venue reports, what
stands in the tables after each step. The cases follow the order state changes of FIX 4.4 (volume 4,
appendix D)."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
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


class Case:
    """One order at a venue."""

    def __init__(self, conn: psycopg.Connection, session: uuid.UUID, **terms: Any) -> None:
        self.conn = conn
        [(self.order_id, status, reasons)] = submit(conn, order(session, **terms))
        assert status == "pending_new", reasons
        self.venue = Venue(conn, self.order_id)

    @property
    def state(self) -> tuple[str, int, int, str | None]:
        """Return status, filled, leaves and average price, after checking the invariants."""
        row = self.conn.execute(
            "select status, quantity, cumulative_quantity, leaves_quantity, average_price, "
            "traded_value, is_live from oms.orders where order_id = %s",
            (self.order_id,),
        ).fetchone()
        assert row is not None
        status, quantity, filled, leaves, average, value, live = row
        assert leaves == (quantity - filled if live else 0)
        booked = self.conn.execute(
            "select coalesce(sum(quantity), 0), coalesce(sum(quantity * price), 0) "
            "from oms.executions where order_id = %s",
            (self.order_id,),
        ).fetchone()
        assert booked == (filled, value)
        assert self.conn.execute("select * from oms.verify_log()").fetchall() == []
        return status, int(filled), int(leaves), average and f"{average.normalize():f}"

    def ask(self, function: str, *arguments: Any) -> tuple[str, list[str]]:
        """Ask for a replace or cancel; return the status and why nothing was asked of the venue."""
        row = self.conn.execute(
            f"select status, reasons from oms.{function}"
            f"({', '.join(['%s'] * (len(arguments) + 3))})",
            (self.order_id, *arguments, uuid.uuid4(), AS_OF),
        ).fetchone()
        assert row is not None
        return row[0], row[1]

    def replace(self, **changes: str) -> str:
        """Ask for a replace and return its ClOrdID."""
        _, reasons = self.ask("replace_order", Jsonb(changes))
        assert reasons == []
        return self.last_action("replace")

    def cancel(self) -> str:
        """Ask for a cancel and return its ClOrdID."""
        _, reasons = self.ask("cancel_order")
        assert reasons == []
        return self.last_action("cancel")

    def last_action(self, kind: str) -> str:
        row = self.conn.execute(
            "select cl_ord_id from oms.order_actions where order_id = %s and kind = %s "
            "order by action_id desc limit 1",
            (self.order_id, kind),
        ).fetchone()
        assert row is not None
        return str(row[0])

    def accepted(self, cl_ord_id: str, quantity: int, **more: Any) -> Any:
        """Report that a replace was carried out."""
        return self.venue.report(
            "replaced",
            cl_ord_id=cl_ord_id,
            orig_cl_ord_id=self.venue.cl_ord_id,
            order_qty=str(quantity),
            **more,
        )

    def refused(self, cl_ord_id: str, reason: str = "too_late_to_cancel", **more: Any) -> Any:
        return self.venue.cancel_reject(cl_ord_id, cxl_rej_reason=reason, **more)

    def breaks(self) -> list[str]:
        rows = self.conn.execute(
            "select kind from oms.breaks where order_id = %s and resolved_at is null order by 1",
            (self.order_id,),
        )
        return [kind for (kind,) in rows]

    def origs(self) -> list[tuple[str, str | None]]:
        rows = self.conn.execute(
            "select cl_ord_id, orig_cl_ord_id from oms.order_actions where order_id = %s "
            "order by action_id",
            (self.order_id,),
        )
        return rows.fetchall()


@pytest.fixture
def case(conn: psycopg.Connection, session: uuid.UUID) -> Iterator[Case]:
    """Return a limit order to buy 100 IBM; at the end nothing may be broken."""
    yield Case(conn, session)
    assert conn.execute("select * from ops.check_orphans()").fetchall() == []


# New, fills, ends ---------------------------------------------------------------------------------


def test_new_with_pending_new_is_new_and_filled(case):
    case.venue.report("pending_new")
    assert case.state == ("pending_new", 0, 100, None)
    case.venue.report("new")
    assert case.state == ("new", 0, 100, None)
    case.venue.fill(40, "100.00")
    assert case.state == ("partially_filled", 40, 60, "100")
    case.venue.fill(60, "99.90")
    assert case.state == ("filled", 100, 0, "99.94")


def test_fill_without_prior_new_then_acknowledgement_keeps_the_fill(case):
    case.venue.fill(30)
    assert case.state == ("partially_filled", 30, 70, "100")
    case.venue.report("new")
    assert case.state == ("partially_filled", 30, 70, "100")
    case.venue.fill(70)
    case.venue.report("new")
    assert case.state == ("filled", 100, 0, "100")


def test_reject_is_over_with_the_venues_words(case):
    case.venue.report("rejected", text="no such symbol", ord_rej_reason="unknown_symbol")
    assert case.state == ("rejected", 0, 0, None)
    reasons = case.conn.execute("select reasons from oms.orders").fetchone()
    assert reasons == (["venue: no such symbol"],)


def test_reject_of_a_duplicate_cl_ord_id_of_a_live_order_is_a_break(case):
    case.venue.report("new")
    case.venue.fill(100)
    case.venue.report("rejected", ord_rej_reason="duplicate_order", text="duplicate ClOrdID")
    assert case.state == ("filled", 100, 0, "100")


def test_average_price_of_odd_fills_is_exact(case):
    for quantity, price in ((33, "100.01"), (33, "99.995"), (34, "100.0001")):
        case.venue.fill(quantity, price)
    row = case.conn.execute("select traded_value from oms.orders").fetchone()
    assert row == (33 * Decimal("100.01") + 33 * Decimal("99.995") + 34 * Decimal("100.0001"),)


@pytest.mark.parametrize("end", ["cancelled", "expired"])
@pytest.mark.parametrize("tif", ["ioc", "fok"])
def test_immediate_remainder_cancelled_or_expired_is_over(conn, session, tif, end):
    case = Case(conn, session, time_in_force=tif)
    if tif == "ioc":
        case.venue.fill(20)
    case.venue.report(end)
    assert case.state[:3] == (end, 20 if tif == "ioc" else 0, 0)


def test_unsolicited_cancel_is_cancelled(case):
    case.venue.report("new")
    case.venue.report("cancelled", text="venue closed the book")
    assert case.state == ("cancelled", 0, 0, None)


def test_expiry_of_a_partially_filled_order_ends_the_rest(case):
    case.venue.fill(10)
    case.venue.report("expired")
    assert case.state == ("expired", 10, 0, "100")


def test_done_for_day_and_next_day_continuation(conn, session):
    case = Case(conn, session, time_in_force="gtc")
    case.venue.report("new")
    case.venue.fill(40)
    case.venue.report("done_for_day", ord_status="done_for_day")
    assert case.state == ("done_for_day", 40, 60, "100")
    case.venue.report("new", trade_date="2013-10-09", ord_status="partially_filled")
    assert case.state == ("partially_filled", 40, 60, "100")
    case.venue.fill(60, trade_date="2013-10-09")
    assert case.state == ("filled", 100, 0, "100")


def test_stopped_then_filled(case):
    case.venue.report("new")
    case.venue.report("stopped", ord_status="stopped")
    assert case.state == ("stopped", 0, 100, None)
    case.venue.fill(50, ord_status="stopped")
    assert case.state == ("stopped", 50, 50, "100")
    case.venue.fill(50)
    assert case.state == ("filled", 100, 0, "100")


@pytest.mark.parametrize(("exec_type", "ord_status"), [("new", "new"), ("restated", "new")])
def test_suspended_then_resumed(case, exec_type, ord_status):
    case.venue.report("new")
    case.venue.report("suspended", ord_status="suspended")
    assert case.state == ("suspended", 0, 100, None)
    case.venue.report(exec_type, ord_status=ord_status)
    assert case.state == ("new", 0, 100, None)


def test_restatement_of_quantity_and_price_is_taken_over(case):
    case.venue.report("new")
    case.venue.report(
        "restated",
        ord_status="new",
        order_qty="60",
        price="99.5",
        exec_restatement_reason="partial_decline_of_order_qty",
    )
    assert case.state == ("new", 0, 60, None)
    assert case.conn.execute("select limit_price from oms.orders").fetchone() == (Decimal("99.5"),)


def test_restatement_of_an_order_that_is_over_is_a_break(case):
    case.venue.fill(100)
    case.venue.report("restated", ord_status="partially_filled", order_qty="150")
    assert case.state == ("filled", 100, 0, "100")
    assert case.breaks() == ["terms"]


# Cancels ------------------------------------------------------------------------------------------


def test_cancel_pending_then_done(case):
    case.venue.report("new")
    cancel = case.cancel()
    assert case.state == ("pending_cancel", 0, 100, None)
    case.venue.report("pending_cancel", cl_ord_id=cancel, orig_cl_ord_id=case.venue.cl_ord_id)
    case.venue.report("cancelled", cl_ord_id=cancel, orig_cl_ord_id=case.venue.cl_ord_id)
    assert case.state == ("cancelled", 0, 0, None)


def test_fill_while_cancel_is_pending_keeps_the_original_ids(case):
    case.venue.report("new")
    cancel = case.cancel()
    case.venue.fill(30)
    assert case.state == ("pending_cancel", 30, 70, "100")
    case.venue.report("cancelled", cl_ord_id=cancel, orig_cl_ord_id=case.venue.cl_ord_id)
    assert case.state == ("cancelled", 30, 0, "100")
    assert case.origs() == [(case.venue.cl_ord_id, None), (cancel, case.venue.cl_ord_id)]


def test_cancel_too_late_is_refused_and_the_fill_stands(case):
    case.venue.report("new")
    cancel = case.cancel()
    case.venue.fill(100)
    case.refused(cancel, ord_status="filled")
    assert case.state == ("filled", 100, 0, "100")
    assert case.breaks() == []


def test_cancel_refused_restores_the_order_and_may_be_asked_again(case):
    case.venue.report("new")
    case.refused(case.cancel(), "broker_option", ord_status="new")
    assert case.state == ("new", 0, 100, None)
    case.cancel()
    assert case.state == ("pending_cancel", 0, 100, None)


def test_cancel_of_an_order_the_venue_does_not_know_is_a_break(case):
    case.venue.report("new")
    case.refused(case.cancel(), "unknown_order", ord_status="rejected")
    assert case.breaks() == ["status"]


def test_fill_after_cancelled_is_booked(case):
    case.venue.report("new")
    cancel = case.cancel()
    case.venue.report("cancelled", cl_ord_id=cancel, orig_cl_ord_id=case.venue.cl_ord_id)
    case.venue.fill(25)
    assert case.state == ("cancelled", 25, 0, "100")
    case.venue.fill(75)
    assert case.state == ("filled", 100, 0, "100")


def test_cancel_twice_asks_the_venue_once(case):
    case.venue.report("new")
    case.cancel()
    assert case.ask("cancel_order") == ("pending_cancel", ["a cancel is under way already"])


# Replaces -----------------------------------------------------------------------------------------


def test_replace_up_and_down(case):
    case.venue.report("new")
    up = case.replace(quantity="150", limit_price="100.02")
    assert case.state == ("pending_replace", 0, 100, None)
    case.venue.report("pending_replace", cl_ord_id=up, orig_cl_ord_id=case.venue.cl_ord_id)
    case.accepted(up, 150, price="100.02")
    assert case.state == ("new", 0, 150, None)
    down = case.replace(quantity="80")
    assert case.origs()[-1] == (down, up)
    case.accepted(down, 80)
    assert case.state == ("new", 0, 80, None)
    terms = case.conn.execute("select cl_ord_id, limit_price from oms.orders").fetchone()
    assert terms == (down, Decimal("100.02"))
    assert case.breaks() == []


def test_fill_while_replace_is_pending_counts_against_the_new_quantity(case):
    case.venue.report("new")
    replace = case.replace(quantity="120")
    case.venue.fill(60)
    assert case.state == ("pending_replace", 60, 40, "100")
    case.accepted(replace, 120)
    assert case.state == ("partially_filled", 60, 60, "100")


def test_replace_below_the_filled_quantity_is_filled(case):
    case.venue.report("new")
    replace = case.replace(quantity="50")
    case.venue.fill(60)
    case.accepted(replace, 60, cum_qty="60")
    assert case.state == ("filled", 60, 0, "100")
    assert case.breaks() == []


def test_fill_of_everything_before_a_replace_leaves_it_void(case):
    case.venue.report("new")
    replace = case.replace(quantity="120")
    case.venue.fill(100)
    assert case.state == ("filled", 100, 0, "100")
    case.refused(replace, ord_status="filled", cxl_rej_response_to="replace_request")
    assert case.state == ("filled", 100, 0, "100")


def test_replace_refused_restores_the_terms(case):
    case.venue.report("new")
    replace = case.replace(quantity="120")
    case.refused(replace, "broker_option", cxl_rej_response_to="replace_request")
    assert case.state == ("new", 0, 100, None)
    assert case.conn.execute("select pending_quantity from oms.orders").fetchone() == (None,)


def test_replaces_in_a_chain_name_the_one_before(case):
    case.venue.report("new")
    first = case.replace(quantity="120")
    second = case.replace(quantity="140")
    assert case.origs() == [
        (case.venue.cl_ord_id, None),
        (first, case.venue.cl_ord_id),
        (second, first),
    ]
    case.accepted(first, 120)
    assert case.state == ("pending_replace", 0, 120, None)
    case.accepted(second, 140)
    assert case.state == ("new", 0, 140, None)


def test_chained_replace_whose_predecessor_is_refused_is_refused_too(case):
    case.venue.report("new")
    first, second = case.replace(quantity="120"), case.replace(quantity="140")
    case.refused(first, "broker_option")
    assert case.state == ("pending_replace", 0, 100, None)
    case.refused(second, "unknown_order")
    assert case.state == ("new", 0, 100, None)
    assert case.breaks() == []


def test_cancel_behind_a_refused_replace_goes_again_under_the_accepted_id(case):
    case.venue.report("new")
    replace = case.replace(quantity="120")
    cancel = case.cancel()
    assert case.origs()[-1] == (cancel, replace)
    assert case.state == ("pending_cancel", 0, 100, None)
    case.refused(replace, "broker_option")
    assert case.state == ("pending_cancel", 0, 100, None)
    case.refused(cancel, "unknown_order")
    again = case.last_action("cancel")
    assert case.origs()[-1] == (again, case.venue.cl_ord_id)
    assert case.state == ("pending_cancel", 0, 100, None)
    case.venue.report("cancelled", cl_ord_id=again, orig_cl_ord_id=case.venue.cl_ord_id)
    assert case.state == ("cancelled", 0, 0, None)


def test_cancel_while_replace_is_pending_ends_both(case):
    case.venue.report("new")
    case.replace(quantity="120")
    cancel = case.cancel()
    case.venue.report("cancelled", cl_ord_id=cancel, orig_cl_ord_id=case.venue.cl_ord_id)
    assert case.state == ("cancelled", 0, 0, None)
    open_ones = case.conn.execute(
        "select count(*) from oms.order_actions where kind = 'replace' and status <> 'void'"
    ).fetchone()
    assert open_ones == (0,)


def test_replace_to_less_than_is_filled_ends_the_order_whatever_its_price(case):
    case.venue.fill(60)
    replace = case.replace(quantity="70", limit_price="99.90")
    case.venue.fill(20, ord_status="pending_replace", cl_ord_id=case.venue.cl_ord_id)
    case.accepted(replace, 80, ord_status="filled", price="100.00")
    assert case.state[:3] == ("filled", 80, 0)
    assert case.breaks() == []


def test_replace_that_the_venue_cuts_to_what_is_filled_is_a_break(case):
    case.venue.fill(60)
    replace = case.replace(quantity="120")
    case.accepted(replace, 60, ord_status="filled")
    assert case.state[:3] == ("filled", 60, 0)
    assert case.breaks() == ["terms"]


def test_replace_with_terms_other_than_asked_for_is_a_break_and_the_venue_wins(case):
    case.venue.report("new")
    replace = case.replace(quantity="120")
    case.accepted(replace, 110)
    assert case.state == ("new", 0, 110, None)
    assert case.breaks() == ["terms"]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({}, "at least one of"),
        ({"side": "sell"}, 'change "side" is unknown'),
        ({"quantity": "0"}, "quantity 0 is not a positive number"),
        ({"quantity": "NaN"}, "quantity NaN"),
        ({"quantity": "many"}, 'change "quantity" has the unusable value "many"'),
        ({"quantity": None}, 'change "quantity" has no value'),
        ({"stop_price": "5"}, "stop_price needs a stop order"),
        ({"expire_at": "2013-10-09"}, "expire_at and time_in_force"),
        ({"display_quantity": "500"}, "display_quantity is more than quantity"),
    ],
)
def test_unusable_replace_is_refused_and_leaves_nothing(case, changes, says):
    case.venue.report("new")
    with pytest.raises(psycopg.Error, match=says) as caught:
        case.ask("replace_order", Jsonb(changes))
    assert caught.value.sqlstate == "TT001"
    assert case.state == ("new", 0, 100, None)


def test_replace_may_move_the_end_of_an_order_but_not_before_its_own_time(conn, session):
    case = Case(conn, session, time_in_force="gtd", expire_at="2013-10-10T20:00Z")
    case.venue.report("new")
    with pytest.raises(psycopg.Error, match="is not after the order's time") as caught:
        case.ask("replace_order", Jsonb({"expire_at": "2013-10-07T20:00Z"}))
    assert caught.value.sqlstate == "TT001"
    assert case.ask("replace_order", Jsonb({"expire_at": "2013-10-09T20:00Z"}))[1] == []


def test_replace_over_a_limit_is_denied_recorded_and_changes_nothing(case):
    case.venue.report("new")
    status, reasons = case.ask("replace_order", Jsonb({"quantity": "20000"}))
    assert status == "new"
    assert reasons[0].startswith("order_quantity: 20000 is over the limit")
    decision = case.conn.execute(
        "select passed from risk.decisions where action = 'replace'"
    ).fetchone()
    assert decision == (False,)
    assert case.state == ("new", 0, 100, None)


def test_replace_of_an_order_that_is_over_says_so(case):
    case.venue.fill(100)
    assert case.ask("replace_order", Jsonb({"quantity": "120"})) == (
        "filled",
        ["the order is filled"],
    )


def test_pending_replace_counts_its_larger_quantity_against_the_limit(conn, session):
    conn.execute("select risk.set_limit('position', '{}', 250, 'test')")
    case = Case(conn, session)
    case.venue.report("new")
    case.replace(quantity="200")
    [(_, status, reasons)] = submit(conn, order(session))
    assert status == "denied"
    assert "300 is over the limit of 250" in reasons[0]
    case.refused(case.last_action("replace"), "broker_option")
    [(_, status, _)] = submit(conn, order(session))
    assert status == "pending_new"


# Busts and corrections ----------------------------------------------------------------------------


def test_bust_of_a_partial_fill_restores_the_order(case):
    case.venue.report("new")
    case.venue.fill(40)
    case.venue.report("trade_cancel", exec_ref_id=f"E{case.order_id}-2", cum_qty="0")
    assert case.state == ("new", 0, 100, None)
    position = case.conn.execute("select quantity, cash from portfolio.positions").fetchone()
    assert position == (0, 0)


@pytest.mark.parametrize(
    ("ord_status", "after"), [("partially_filled", "partially_filled"), ("cancelled", "cancelled")]
)
def test_bust_after_filled_reopens_or_ends_the_order(case, ord_status, after):
    case.venue.fill(40, "100.00")
    case.venue.fill(60, "99.00")
    case.venue.report(
        "trade_cancel", exec_ref_id=f"E{case.order_id}-1", cum_qty="60", ord_status=ord_status
    )
    assert case.state == (after, 60, 40 if after == "partially_filled" else 0, "99")
    if after == "partially_filled":
        case.venue.fill(40, "98.00")
        assert case.state == ("filled", 100, 0, "98.6")


def test_correction_of_price_and_quantity_recomputes_the_average(case):
    case.venue.fill(40, "100.00")
    case.venue.fill(20, "99.00")
    case.venue.report(
        "trade_correct",
        exec_ref_id=f"E{case.order_id}-1",
        last_qty="30",
        last_px="99.50",
        cum_qty="50",
    )
    assert case.state == ("partially_filled", 50, 50, "99.3")
    # A correction of the correction, by its own ExecID, then a bust of it.
    case.venue.report(
        "trade_correct", exec_ref_id=f"E{case.order_id}-3", last_qty="30", last_px="98.00"
    )
    assert case.state == ("partially_filled", 50, 50, "98.4")
    case.venue.report("trade_cancel", exec_ref_id=f"E{case.order_id}-1")
    assert case.state == ("partially_filled", 20, 80, "99")


def test_bust_across_days_finds_the_execution(case):
    case.venue.fill(100)
    case.venue.report(
        "trade_cancel",
        exec_ref_id=f"E{case.order_id}-1",
        trade_date="2013-10-09",
        ord_status="cancelled",
    )
    assert case.state == ("cancelled", 0, 0, None)


def test_bust_twice_is_applied_once_and_is_a_break(case):
    case.venue.fill(40)
    for _ in range(2):
        case.venue.report("trade_cancel", exec_ref_id=f"E{case.order_id}-1")
    assert case.state == ("new", 0, 100, None)
    assert case.breaks() == ["execution_content"]


@pytest.mark.parametrize("exec_type", ["trade_cancel", "trade_correct"])
def test_bust_or_correction_of_an_unknown_execution_is_a_break(case, exec_type):
    case.venue.fill(40)
    case.venue.report(exec_type, exec_ref_id="never", last_qty="1", last_px="1")
    assert case.state == ("partially_filled", 40, 60, "100")
    assert case.breaks() == ["unknown_execution"]


def test_bust_gives_the_realized_pnl_of_a_world_without_the_fill(conn, session):
    def trade(side: str, quantity: int, price: str) -> Case:
        case = Case(conn, session, side=side, quantity=str(quantity))
        case.venue.fill(quantity, price)
        return case

    trade("buy", 100, "10.00")
    wrong = trade("buy", 100, "20.00")
    trade("sell", 100, "16.00")
    realized = "select realized_pnl from portfolio.positions"
    assert conn.execute(realized).fetchone() == (100,)
    wrong.venue.report("trade_cancel", exec_ref_id=f"E{wrong.order_id}-1", ord_status="cancelled")
    assert conn.execute(realized).fetchone() == (600,)
    assert wrong.state == ("cancelled", 0, 0, None)


# Twice, late, unknown -----------------------------------------------------------------------------


def test_report_with_an_exec_id_seen_before_changes_nothing(case):
    case.venue.fill(40, exec_id="X1")
    before = case.state
    case.venue.cumulative = 0
    assert case.venue.fill(40, exec_id="X1")[2] is False
    assert case.state == before
    assert case.breaks() == []


def test_exec_id_seen_before_with_other_content_is_a_break(case):
    case.venue.fill(40, exec_id="X1")
    before = case.state
    case.venue.fill(41, exec_id="X1")
    assert case.state == before
    assert case.breaks() == ["execution_content"]


def test_fill_of_an_unknown_order_goes_to_suspense(case):
    case.venue.fill(7, cl_ord_id="nobody")
    booked = case.conn.execute("select account, quantity from oms.executions").fetchall()
    assert booked == [("suspense", 7)]
    assert case.conn.execute("select kind, order_id from oms.breaks").fetchall() == [
        ("unknown_order", None)
    ]


def test_bust_of_a_fill_in_suspense_empties_it(case):
    case.venue.fill(7, cl_ord_id="nobody", exec_id="S1")
    case.venue.report("trade_cancel", cl_ord_id="nobody", exec_ref_id="S1")
    left = case.conn.execute(
        "select quantity from portfolio._positions where account = 'suspense'"
    ).fetchall()
    assert left == [(0,)]


def test_report_without_our_ids_is_found_by_the_venues_order_id(case):
    case.venue.report("new")
    case.venue.report("cancelled", cl_ord_id=None)
    assert case.state == ("cancelled", 0, 0, None)
