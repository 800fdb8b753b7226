"""Orders that depend on others: brackets and one-cancels-other, parents and children, reduce-only."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg.types.json import Jsonb

from factories import AS_OF, Venue, open_session, order, set_quote, submit
from tsdb_trader.api.summary import check_invariants


@pytest.fixture
def session(conn: psycopg.Connection) -> uuid.UUID:
    session_id = open_session(conn)
    set_quote(conn, session_id)
    return session_id


class Desk:
    """Orders of one session by name."""

    def __init__(self, conn: psycopg.Connection, session: uuid.UUID) -> None:
        self.conn = conn
        self.session = session
        self.ids: dict[str, int] = {}
        self.venues: dict[str, Venue] = {}

    def submit(self, *legs: tuple[str, dict[str, Any]]) -> list[str]:
        rows = submit(self.conn, [order(self.session, **terms) for _, terms in legs])
        for (name, _), (order_id, _, _) in zip(legs, rows, strict=True):
            self.ids[name] = order_id
        return [status for _, status, _ in rows]

    def __getitem__(self, name: str) -> Venue:
        if name not in self.venues:
            self.venues[name] = Venue(self.conn, self.ids[name])
        return self.venues[name]

    def state(self, name: str) -> tuple[str, int, int]:
        """Return status, quantity and filled quantity."""
        row = self.conn.execute(
            "select status, quantity, cumulative_quantity from oms.orders where order_id = %s",
            (self.ids[name],),
        ).fetchone()
        assert row is not None
        return row[0], int(row[1]), int(row[2])

    def pending(self, name: str) -> list[tuple[str, int | None]]:
        """Return what is asked of the venue and not answered: kinds with quantities."""
        rows = self.conn.execute(
            "select kind, quantity from oms.order_actions where order_id = %s and kind <> 'new' "
            "and status in ('pending', 'sent') order by action_id",
            (self.ids[name],),
        ).fetchall()
        return [(kind, None if q is None else int(q)) for kind, q in rows]

    def answer(self, name: str) -> None:
        """Have the venue carry out the last thing asked of it."""
        row = self.conn.execute(
            "select kind, cl_ord_id, orig_cl_ord_id, quantity::text from oms.order_actions "
            "where order_id = %s order by action_id desc limit 1",
            (self.ids[name],),
        ).fetchone()
        assert row is not None
        kind, cl_ord_id, orig, quantity = row
        if kind == "new":
            self[name].report("new")
        elif kind == "cancel":
            self[name].report("cancelled", cl_ord_id=cl_ord_id, orig_cl_ord_id=orig)
        else:
            self[name].report(
                "replaced", cl_ord_id=cl_ord_id, orig_cl_ord_id=orig, order_qty=quantity
            )

    def cancel(self, name: str) -> tuple[str, list[str]]:
        row = self.conn.execute(
            "select status, reasons from oms.cancel_order(%s, %s, %s)",
            (self.ids[name], uuid.uuid4(), AS_OF),
        ).fetchone()
        assert row is not None
        return row[0], row[1]


@pytest.fixture
def desk(conn: psycopg.Connection, session: uuid.UUID) -> Desk:
    return Desk(conn, session)


EXITS = {"side": "sell", "contingent_on": 1, "oco": "exit"}
PROFIT = ("profit", EXITS | {"limit_price": "101"})
STOP = ("stop", EXITS | {"order_type": "stop", "limit_price": None, "stop_price": "99"})


@pytest.fixture
def bracket(desk: Desk) -> Desk:
    assert desk.submit(("entry", {}), PROFIT, STOP) == ["pending_new", "held", "held"]
    desk["entry"].report("new")
    return desk


def test_bracket_exits_are_held_and_nothing_of_them_is_sent(bracket):
    sent = bracket.conn.execute("select order_id from oms.order_actions").fetchall()
    assert sent == [(bracket.ids["entry"],)]


def test_bracket_fill_releases_both_exits_in_the_same_transaction(conn, bracket):
    with conn.transaction():
        bracket["entry"].fill(100)
        assert bracket.state("profit") == ("pending_new", 100, 0)
        assert bracket.state("stop") == ("pending_new", 100, 0)
    decisions = conn.execute(
        "select count(*) from risk.decisions where action = 'release' and passed"
    ).fetchone()
    assert decisions == (2,)


def test_bracket_partial_fills_raise_the_exits_with_the_entry(bracket):
    bracket["entry"].fill(30)
    for name in ("profit", "stop"):
        assert bracket.state(name) == ("pending_new", 30, 0)
        bracket.answer(name)
    bracket["entry"].fill(20)
    for name in ("profit", "stop"):
        assert bracket.pending(name) == [("replace", 50)]
    # More fills while the replace is under way: its answer asks for the rest.
    bracket["entry"].fill(50)
    assert bracket.pending("profit") == [("replace", 50)]
    bracket.answer("profit")
    assert bracket.pending("profit") == [("replace", 100)]
    bracket.answer("profit")
    assert bracket.state("profit") == ("new", 100, 0)


def test_bracket_exit_filled_cancels_the_other(bracket):
    bracket["entry"].fill(100)
    bracket.answer("profit")
    bracket.answer("stop")
    bracket["profit"].fill(100)
    assert bracket.state("stop")[0] == "pending_cancel"
    bracket.answer("stop")
    assert bracket.state("stop") == ("cancelled", 100, 0)


def test_bracket_exit_partially_filled_reduces_the_other(bracket):
    bracket["entry"].fill(100)
    bracket.answer("profit")
    bracket.answer("stop")
    bracket["profit"].fill(40)
    assert bracket.pending("stop") == [("replace", 60)]
    bracket.answer("stop")
    bracket["stop"].fill(60)
    assert bracket.state("stop") == ("filled", 60, 60)
    assert bracket.state("profit")[0] == "pending_cancel"


def test_bracket_exit_filled_before_the_entry_is_rearmed_for_what_the_entry_fills_later(bracket):
    bracket["entry"].fill(40)
    bracket.answer("profit")
    bracket.answer("stop")
    bracket["profit"].fill(40)
    bracket.answer("stop")
    assert bracket.state("stop")[0] == "cancelled"
    bracket["entry"].fill(60)
    rows = bracket.conn.execute(
        "select order_type, quantity, status, trigger_order_id from oms.orders "
        "where order_id <> all (%s) order by order_type",
        (list(bracket.ids.values()),),
    ).fetchall()
    entry = bracket.ids["entry"]
    assert rows == [("limit", 60, "pending_new", entry), ("stop", 60, "pending_new", entry)]
    decided = "every order has a risk decision and exactly one origin"
    session_id = bracket.conn.execute("select session_id from oms.orders limit 1").fetchone()[0]
    assert [
        i.passed for i in check_invariants(bracket.conn, session_id) if i.invariant == decided
    ] == [True]
    # All of it is in one group still: what one exit fills the other loses.
    group = bracket.conn.execute(
        "select count(distinct oco_group_id) from oms.orders where oco_group_id is not null"
    ).fetchone()
    assert group == (1,)


@pytest.mark.parametrize("end", ["cancelled", "rejected", "expired"])
def test_bracket_entry_that_ends_without_a_fill_cancels_the_exits(bracket, end):
    bracket["entry"].report(end)
    assert bracket.state("profit") == ("cancelled", 100, 0)
    assert bracket.state("stop") == ("cancelled", 100, 0)


def test_bracket_entry_cancelled_in_part_leaves_the_exits_at_what_it_filled(bracket):
    bracket["entry"].fill(25)
    bracket.answer("profit")
    bracket.answer("stop")
    bracket["entry"].report("cancelled")
    assert bracket.state("profit") == ("new", 25, 0)
    assert bracket.pending("profit") == bracket.pending("stop") == []


def test_bracket_denied_as_a_whole_when_an_exit_is_unusable_or_over_a_limit(conn, desk):
    assert desk.submit(("entry", {}), ("profit", EXITS | {"limit_price": "150", "oco": None})) == [
        "denied",
        "denied",
    ]


def test_bracket_exit_halted_at_release_is_denied_and_alerted(conn, bracket):
    conn.execute("select risk.halt('{\"symbol\": \"IBM\"}', 'test')")
    bracket["entry"].fill(100)
    assert bracket.state("stop")[0] == "denied"
    alerts = conn.execute("select count(*) from ops.alerts where kind = 'contingent_denied'")
    assert alerts.fetchone() == (2,)


def test_bracket_exit_is_released_though_a_quote_is_newer_than_the_fill(conn, session, bracket):
    """The fill has the venue's time, and quotes go on coming while its report is under way."""
    set_quote(conn, session, ts=AS_OF + timedelta(minutes=5))
    bracket["entry"].fill(100)
    assert bracket.state("stop") == ("pending_new", 100, 0)
    assert bracket.state("profit") == ("pending_new", 100, 0)


def test_held_order_can_be_cancelled_and_never_leaves(bracket):
    assert bracket.cancel("profit") == ("cancelled", [])
    bracket["entry"].fill(100)
    assert bracket.state("profit")[0] == "cancelled"
    assert bracket.state("stop") == ("pending_new", 100, 0)


def test_bust_of_the_entry_shrinks_the_exits(bracket):
    bracket["entry"].fill(100)
    bracket.answer("profit")
    bracket.answer("stop")
    bracket["entry"].report(
        "trade_cancel", exec_ref_id=f"E{bracket.ids['entry']}-2", ord_status="cancelled"
    )
    assert bracket.pending("profit") == bracket.pending("stop") == [("cancel", None)]


def test_one_cancels_other_without_a_trigger(desk):
    desk.submit(
        ("low", {"limit_price": "99", "oco": "a"}), ("high", {"limit_price": "100", "oco": "a"})
    )
    desk.answer("low")
    desk.answer("high")
    desk["high"].fill(100)
    assert desk.pending("low") == [("cancel", None)]


def test_one_cancels_other_counts_once_against_the_position_limit(conn, desk):
    conn.execute("select risk.set_limit('position', '{}', 150, 'test')")
    legs = [("a", {"oco": "x"}), ("b", {"oco": "x"})]
    assert desk.submit(*legs) == ["pending_new", "pending_new"]


@pytest.mark.parametrize(
    ("second", "says"),
    [
        ({"contingent_on": 2}, "contingent_on 2 is not an earlier leg"),
        ({"contingent_on": 5}, "contingent_on 5 is not an earlier leg"),
        ({"contingent_on": "x"}, "contingent_on"),
        ({"oco": "alone"}, 'group "alone" needs at least two orders'),
        ({"is_parent": True, "contingent_on": 1}, "a parent order cannot be contingent"),
    ],
)
def test_impossible_contingency_is_refused(desk, second, says):
    with pytest.raises(psycopg.Error, match=says) as caught:
        desk.submit(("first", {}), ("second", second))
    assert caught.value.sqlstate == "TT001"


# Parents ------------------------------------------------------------------------------------------


def child(parent: int, **terms: Any) -> dict[str, Any]:
    return {"origin": "parent", "operator": None, "parent_order_id": parent} | terms


@pytest.fixture
def parent(desk: Desk) -> Desk:
    assert desk.submit(("parent", {"is_parent": True, "quantity": "300"})) == ["new"]
    return desk


def test_parent_is_never_sent_and_follows_its_children(parent):
    assert parent.conn.execute("select count(*) from oms.order_actions").fetchone() == (0,)
    for name in ("a", "b", "c"):
        parent.submit((name, child(parent.ids["parent"])))
        parent[name].fill(60)
        parent[name].fill(40)
    assert parent.state("parent") == ("filled", 300, 300)


def test_child_beyond_what_the_parent_has_left_is_denied(parent):
    parent.submit(("a", child(parent.ids["parent"], quantity="200")))
    assert parent.submit(("b", child(parent.ids["parent"], quantity="101"))) == ["denied"]
    assert parent.submit(("c", child(parent.ids["parent"], quantity="100"))) == ["pending_new"]


@pytest.mark.parametrize("terms", [{"side": "sell"}, {"symbol": "BAC"}])
def test_child_unlike_its_parent_is_denied(parent, terms):
    set_quote(parent.conn, parent.session, "BAC")
    assert parent.submit(("a", child(parent.ids["parent"], **terms))) == ["denied"]


def test_parent_and_children_count_once_against_the_position_limit(conn, parent):
    conn.execute("select risk.set_limit('position', '{}', 350, 'test')")
    assert parent.submit(("a", child(parent.ids["parent"], quantity="300"))) == ["pending_new"]
    assert parent.submit(("other", {"quantity": "51"})) == ["denied"]
    assert parent.submit(("another", {"quantity": "50"})) == ["pending_new"]


def test_parent_cancel_cancels_children_and_is_over_with_the_last(parent):
    for name in ("a", "b"):
        parent.submit((name, child(parent.ids["parent"])))
        parent.answer(name)
    assert parent.cancel("parent") == ("pending_cancel", [])
    parent.answer("a")
    assert parent.state("parent")[0] == "pending_cancel"
    parent["b"].fill(30)
    assert parent.state("parent") == ("pending_cancel", 300, 30)
    parent.answer("b")
    assert parent.state("parent") == ("cancelled", 300, 30)
    assert parent.submit(("late", child(parent.ids["parent"]))) == ["denied"]


def test_parent_without_live_children_is_cancelled_at_once(parent):
    assert parent.cancel("parent") == ("cancelled", [])


def test_bust_of_a_childs_fill_reopens_the_parent(parent):
    parent.submit(("a", child(parent.ids["parent"], quantity="300")))
    parent["a"].fill(300)
    assert parent.state("parent")[0] == "filled"
    parent["a"].report(
        "trade_cancel", exec_ref_id=f"E{parent.ids['a']}-1", ord_status="partially_filled"
    )
    assert parent.state("parent") == ("new", 300, 0)


# Reduce-only --------------------------------------------------------------------------------------


def test_reduce_only_is_bounded_by_the_position(desk):
    reduce = {"side": "sell", "limit_price": "100", "reduce_only": True}
    assert desk.submit(("none", reduce)) == ["denied"]
    desk.submit(("long", {}))
    desk["long"].fill(100)
    assert desk.submit(("wrong side", {"reduce_only": True})) == ["denied"]
    assert desk.submit(("most", reduce | {"quantity": "70"})) == ["pending_new"]
    assert desk.submit(("more", reduce | {"quantity": "31"})) == ["denied"]
    assert desk.submit(("rest", reduce | {"quantity": "30"})) == ["pending_new"]


def test_reduce_only_that_a_fill_makes_too_large_is_cancelled_in_its_transaction(conn, desk):
    desk.submit(("long", {}))
    desk["long"].fill(100)
    reduce = {"side": "sell", "limit_price": "100", "reduce_only": True}
    desk.submit(("a", reduce | {"quantity": "60"}))
    desk.submit(("b", reduce | {"quantity": "40"}))
    desk.submit(("plain", {"side": "sell", "limit_price": "100"}))
    with conn.transaction():
        desk["plain"].fill(30)
        assert desk.pending("a") == []
        assert desk.pending("b") == [("cancel", None)]


# Cancel all ---------------------------------------------------------------------------------------


def everything(conn: psycopg.Connection, scope: dict[str, Any], request: uuid.UUID | None = None):
    return conn.execute(
        "select order_id, status, reasons from oms.cancel_all(%s, %s, %s)",
        (Jsonb(scope), request or uuid.uuid4(), AS_OF),
    ).fetchall()


def test_cancel_all_takes_the_scope_and_no_more(conn, desk):
    set_quote(conn, desk.session, "BAC")
    desk.submit(("ibm", {}), ("bac", {"symbol": "BAC"}), ("sell", {"side": "sell"}))
    assert [r[0] for r in everything(conn, {"symbol": "BAC"})] == [desk.ids["bac"]]
    assert [r[0] for r in everything(conn, {"side": "sell"})] == [desk.ids["sell"]]
    assert desk.state("ibm")[0] == "pending_new"
    assert everything(conn, {}) == [
        (desk.ids["ibm"], "pending_cancel", []),
        (desk.ids["bac"], "pending_cancel", ["a cancel is under way already"]),
        (desk.ids["sell"], "pending_cancel", ["a cancel is under way already"]),
    ]


def test_cancel_all_reaches_held_orders_and_parents(conn, bracket, desk):
    desk.submit(("parent", {"is_parent": True, "quantity": "300"}))
    desk.submit(("slice", child(desk.ids["parent"])))
    everything(conn, {"account": "main"})
    states = {name: bracket.state(name)[0] for name in bracket.ids}
    assert states == {
        "entry": "pending_cancel",
        "profit": "cancelled",
        "stop": "cancelled",
        "parent": "pending_cancel",
        "slice": "pending_cancel",
    }


def test_cancel_all_same_request_again_asks_nothing_anew(conn, desk):
    desk.submit(("a", {}))
    request = uuid.uuid4()
    first = everything(conn, {}, request)
    desk.submit(("later", {}))
    assert everything(conn, {}, request) == first
    assert desk.state("later")[0] == "pending_new"


def test_cancels_in_a_hurry_need_no_request_id(conn, desk):
    desk.submit(("a", {}), ("b", {}))
    conn.execute("select oms.cancel_order(%s)", (desk.ids["a"],))
    assert desk.state("a")[0] == "pending_cancel"
    found = conn.execute("select order_id, reasons from oms.cancel_all('{}')").fetchall()
    assert found == [(desk.ids["a"], ["a cancel is under way already"]), (desk.ids["b"], [])]
    again = conn.execute("select distinct reasons from oms.cancel_all('{}')").fetchall()
    assert again == [(["a cancel is under way already"],)], (
        "a request of its own, not the answer kept"
    )


@pytest.mark.parametrize("scope", [{"color": "red"}, [], {"symbol": 5}])
def test_cancel_all_unusable_scope_is_refused(conn, desk, scope):
    with pytest.raises(psycopg.Error) as caught:
        everything(conn, scope)
    assert caught.value.sqlstate == "TT001"


# Any sequence of events ---------------------------------------------------------------------------


class Exchange:
    """A venue that does what it is asked in the order it was asked, some time later."""

    def __init__(self, conn: psycopg.Connection) -> None:
        self.conn = conn
        self.venues: dict[int, Venue] = {}
        self.works: dict[int, list[int]] = {}
        """Quantity and filled quantity of each order that works here."""
        self.answered = 0

    def venue(self, order_id: int) -> Venue:
        if order_id not in self.venues:
            self.venues[order_id] = Venue(self.conn, order_id)
        return self.venues[order_id]

    def answer(self) -> bool:
        """Do the next thing that was asked; False when there is none."""
        row = self.conn.execute(
            "select action_id, order_id, kind, cl_ord_id, orig_cl_ord_id, quantity::integer "
            "from oms.order_actions where action_id > %s order by action_id limit 1",
            (self.answered,),
        ).fetchone()
        if row is None:
            return False
        self.answered, order_id, kind, cl_ord_id, orig, quantity = row
        venue = self.venue(order_id)
        ids = {"cl_ord_id": cl_ord_id, "orig_cl_ord_id": orig}
        works = self.works.get(order_id)
        if kind == "new":
            asked = self.conn.execute(
                "select quantity::integer from oms.orders where order_id = %s", (order_id,)
            ).fetchone()
            assert asked is not None
            self.works[order_id] = [asked[0], 0]
            venue.report("new")
        elif works is None:
            venue.cancel_reject(cl_ord_id, cxl_rej_reason="too_late_to_cancel")
        elif kind == "cancel":
            del self.works[order_id]
            venue.report("cancelled", **ids)
        else:
            works[0] = max(quantity, works[1])
            venue.report("replaced", **ids, order_qty=str(works[0]))
            if works[0] == works[1]:
                del self.works[order_id]
        return True

    def fill(self, order_id: int, quantity: int) -> None:
        """Fill some of an order, if it works."""
        works = self.works.get(order_id)
        if works is None:
            return
        done = min(quantity, works[0] - works[1])
        works[1] += done
        if works[0] == works[1]:
            del self.works[order_id]
        self.venue(order_id).fill(done)


def exits(conn: psycopg.Connection, entry: int) -> list[tuple[Any, ...]]:
    return conn.execute(
        "select order_id, order_type, status, leaves_quantity::integer, "
        "cumulative_quantity::integer, is_live from oms.orders where trigger_order_id = %s "
        "order by order_id",
        (entry,),
    ).fetchall()


def test_bracket_protects_what_the_entry_has_filled_whatever_happens(conn, session):
    """Once the venue has answered everything, both exits work for just what is left to protect."""
    steps = st.tuples(st.sampled_from(("entry", "exit", "answer", "answer")), st.integers(1, 60))

    @settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(steps, max_size=16))
    def walk(sequence: list[tuple[str, int]]) -> None:
        legs = [{}, PROFIT[1], STOP[1]]
        entry = submit(conn, [order(session, **terms) for terms in legs])[0][0]
        exchange = Exchange(conn)
        row = conn.execute("select max(action_id) from oms.order_actions").fetchone()
        assert row is not None
        exchange.answered = row[0] - 1
        exchange.answer()
        for step, number in sequence:
            if step == "entry":
                exchange.fill(entry, number)
            elif step == "answer":
                exchange.answer()
            else:
                known = [row[0] for row in exits(conn, entry) if row[0] in exchange.works]
                if known:
                    exchange.fill(known[number % len(known)], number)
        while exchange.answer():
            pass
        found = exits(conn, entry)
        filled = conn.execute(
            "select cumulative_quantity::integer from oms.orders where order_id = %s", (entry,)
        ).fetchone()
        assert filled is not None
        left = max(filled[0] - sum(row[4] for row in found), 0)
        live = sorted((row[1], row[3]) for row in found if row[5])
        assert live == ([("limit", left), ("stop", left)] if left else []), found
        conn.execute("select oms.cancel_all('{}', gen_random_uuid(), %s)", (AS_OF,))
        while exchange.answer():
            pass

    walk()
    assert conn.execute("select * from oms.verify_log()").fetchall() == []
