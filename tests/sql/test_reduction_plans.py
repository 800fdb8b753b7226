"""Reduction plans: what is planned, and child orders that are capped, never flip and end exactly."""

from __future__ import annotations

import hashlib
import uuid
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

from factories import AS_OF, Venue, add_instrument, open_session, order, set_quote, submit

D = Decimal
BUCKET = 60


class Desk:
    """A session with a position, its plans, and the venue's side of their orders."""

    def __init__(self, conn: psycopg.Connection, **parameters: Any) -> None:
        self.conn = conn
        self.session = open_session(conn, uuid.uuid4().hex, **parameters)
        self.quote(0)
        conn.execute("select risk.set_limit('price_collar', '{}', 0.5, 'test')")

    def quote(self, seconds: float, symbol: str = "IBM") -> None:
        set_quote(self.conn, self.session, symbol, ts=at(seconds))

    def hold(self, quantity: int, symbol: str = "IBM", strategy: str = "manual") -> None:
        """Come into a position; negative: short."""
        side = "buy" if quantity > 0 else "sell_short"
        spec = order(
            self.session,
            side=side,
            quantity=str(abs(quantity)),
            symbol=symbol,
            strategy=strategy,
            limit_price="100",
        )
        [(order_id, status, reasons)] = submit(self.conn, spec)
        assert status == "pending_new", reasons
        Venue(self.conn, order_id).fill(abs(quantity))

    def plan(
        self, targets: Any = "flat", *, strategy: str | None = "manual", **schedule: Any
    ) -> int:
        terms = {"bucket_s": BUCKET, "max_quantity": 30} | schedule
        row = self.conn.execute(
            "select risk.plan_reduction(%s, 'main', %s, %s, %s, 'test', %s)",
            (
                self.session,
                strategy,
                Jsonb(targets),
                Jsonb({k: v for k, v in terms.items() if v is not None}),
                AS_OF,
            ),
        ).fetchone()
        assert row is not None
        return int(row[0])

    def step(self, seconds: float, *, quotes: bool = True) -> int:
        """Carry the plans out at a session time; return the orders sent."""
        if quotes:
            self.quote(seconds)
        row = self.conn.execute(
            "select oms.step_plans(%s, %s)", (self.session, at(seconds))
        ).fetchone()
        assert row is not None
        return int(row[0])

    def children(self) -> list[tuple[int, str, str, Decimal]]:
        """Return (order id, status, side, quantity) of the plans' orders."""
        return self.conn.execute(
            "select order_id, status, side, quantity from oms.orders "
            "where origin = 'plan' and session_id = %s order by order_id",
            (self.session,),
        ).fetchall()

    def fill_last(self, quantity: int | None = None, seconds: float = 0) -> Any:
        order_id, _, _, whole = self.children()[-1]
        return Venue(self.conn, order_id).fill(
            int(whole) if quantity is None else quantity, transact_time=at(seconds).isoformat()
        )

    def position(self, symbol: str = "IBM", strategy: str = "manual") -> Decimal:
        row = self.conn.execute(
            "select coalesce(sum(quantity), 0) from portfolio.positions "
            "where session_id = %s and symbol = %s and strategy = %s",
            (self.session, symbol, strategy),
        ).fetchone()
        assert row is not None
        return D(row[0])

    def status(self) -> list[tuple[str, str | None]]:
        return self.conn.execute(
            "select status, note from risk.reduction_plans where session_id = %s order by plan_id",
            (self.session,),
        ).fetchall()

    def alerts(self) -> list[tuple[str, bool]]:
        return self.conn.execute(
            "select kind, resolved_at is null from ops.alerts order by alert_id"
        ).fetchall()


def at(seconds: float) -> datetime:
    return AS_OF + timedelta(seconds=seconds)


@pytest.fixture
def desk(conn: psycopg.Connection) -> Desk:
    return Desk(conn)


def cancelled(conn: psycopg.Connection, order_id: int) -> None:
    """Let the venue confirm a cancel."""
    row = conn.execute(
        "select a.cl_ord_id, o.cumulative_quantity from oms.order_actions a "
        "join oms.orders o using (order_id) where order_id = %s and kind = 'cancel' "
        "order by action_id desc limit 1",
        (order_id,),
    ).fetchone()
    assert row is not None
    Venue(conn, order_id).report(
        "cancelled", exec_id=f"C{order_id}", cum_qty=str(row[1]), orig_cl_ord_id=None
    )


def test_plan_sells_a_capped_slice_per_bucket_and_ends_at_the_target(conn, desk):
    desk.hold(100)
    desk.plan({"IBM": 25})
    sent = []
    for bucket in range(4):
        sent.append(desk.step(bucket * BUCKET))
        assert desk.step(bucket * BUCKET + 30) == 0, "one order per bucket"
        if bucket < 3:
            desk.fill_last(seconds=bucket * BUCKET)
    assert sent == [1, 1, 1, 0]
    assert [(side, quantity) for _, _, side, quantity in desk.children()] == [
        ("sell", 30),
        ("sell", 30),
        ("sell", 15),
    ]
    assert desk.position() == 25
    assert desk.status() == [("done", None)]
    rows = conn.execute(
        "select bucket_no, cap, quantity, market_volume from risk.reduction_slices order by 1"
    ).fetchall()
    assert rows == [(1, 30, 30, None), (2, 30, 30, None), (3, 30, 15, None)]
    row = conn.execute("select final_quantity, finished_as_of from risk.reduction_legs").fetchone()
    assert row == (25, at(3 * BUCKET))
    orders = conn.execute(
        "select bool_and(reduce_only), min(limit_price), max(limit_price) from oms.orders "
        "where origin = 'plan'"
    ).fetchone()
    # 5 basis points below the bid of 99.99, rounded down to the tick.
    assert orders == (True, D("99.94"), D("99.94"))


def test_plan_buys_back_a_short_position(desk):
    desk.hold(-50)
    desk.plan("flat")
    for bucket in range(3):
        desk.step(bucket * BUCKET)
        if bucket < 2:
            desk.fill_last(seconds=bucket * BUCKET)
    assert [(side, quantity) for _, _, side, quantity in desk.children()] == [
        ("buy", 30),
        ("buy", 20),
    ]
    assert (desk.position(), desk.status()) == (0, [("done", None)])


def test_plan_cancels_the_remainder_of_a_bucket_and_waits_until_it_is_gone(conn, desk):
    desk.hold(100)
    desk.plan()
    desk.step(0)
    first = desk.children()[0][0]
    desk.fill_last(10)
    assert desk.step(BUCKET) == 0
    assert desk.children()[0][1] == "pending_cancel"
    # It fills 5 more in the second bucket, which count there.
    Venue(conn, first).report(
        "trade",
        exec_id="late",
        last_qty="5",
        last_px="100",
        cum_qty="15",
        transact_time=at(BUCKET + 1).isoformat(),
    )
    assert desk.step(BUCKET + 2) == 0
    cancelled(conn, first)
    assert desk.step(BUCKET + 3) == 1
    assert [quantity for _, _, _, quantity in desk.children()] == [30, 25]


def test_plan_does_not_follow_an_order_whose_fate_is_unknown(conn, desk):
    desk.hold(100)
    desk.plan()
    desk.step(0)
    conn.execute("update oms.orders set status = 'unknown' where origin = 'plan'")
    assert [desk.step(bucket * BUCKET) for bucket in (1, 2, 3)] == [0, 0, 0]
    assert len(desk.children()) == 1


def test_plan_does_not_catch_up_missed_buckets(desk):
    desk.hold(100)
    desk.plan()
    desk.step(0)
    desk.fill_last()
    desk.step(10 * BUCKET)
    assert [quantity for _, _, _, quantity in desk.children()] == [30, 30]


def test_plan_participates_in_what_traded_in_the_bucket_before(conn):
    conn.execute("insert into ops.feeds (feed, format) values ('test', 'test')")
    desk = Desk(conn)
    conn.execute("update ops.sessions set feed_id = 1 where session_id = %s", (desk.session,))
    conn.execute(
        """insert into market._trades (ts, recv_ts, seq, price, size, instrument_id, source_id, feed_id,
            ns, flags)
        select %s + make_interval(secs => s), now(), row_number() over (), 1000000, size,
            i.instrument_id, 1, 1, 0, flags
        from (values (-61, 900, 0), (-60, 100, 0), (-1, 150, 0), (-2, 500, 4), (-3, 500, 64),
                     (-4, 500, 128), (0, 40, 0), (130, 999, 0)) t (s, size, flags),
            ref.instruments i where i.symbol = 'IBM'""",
        (AS_OF,),
    )
    desk.hold(100)
    desk.plan(participation=0.1, max_quantity=None)
    for seconds in (0, BUCKET, 2 * BUCKET, 3 * BUCKET):
        if desk.step(seconds):
            desk.fill_last(seconds=seconds)
    # A tenth of 250, of 40, of nothing; of 999 but only what is left.
    rows = conn.execute(
        "select bucket_no, market_volume, cap, quantity from risk.reduction_slices order by 1"
    ).fetchall()
    assert rows == [(1, 250, 25, 25), (2, 40, 4, 4), (4, 999, D("99.9"), 71)]


def test_plan_without_market_data_waits_and_alerts_at_its_deadline(conn, desk):
    desk.hold(100)
    desk.plan(deadline=at(90).isoformat())
    conn.execute("delete from market.latest_quotes")
    assert desk.step(0, quotes=False) == desk.step(89, quotes=False) == 0
    assert desk.alerts() == []
    desk.step(90, quotes=False)
    desk.step(91, quotes=False)
    assert desk.alerts() == [("plan_overdue", True)]
    for seconds in (120, 180, 240, 300):
        assert desk.step(seconds) == 1, "a plan that is late goes on"
        desk.fill_last(seconds=seconds)
    desk.step(301)
    assert desk.status() == [("done", None)]
    assert desk.alerts() == [("plan_overdue", False)]


def test_plan_whose_order_is_denied_alerts_and_tries_again_in_the_next_bucket(conn, desk):
    desk.hold(100)
    desk.plan()
    conn.execute("update ref.venues set status = 'halted'")
    assert desk.step(0) == desk.step(1) == 0
    assert [status for _, status, _, _ in desk.children()] == ["denied"]
    assert desk.alerts() == [("plan_refused", True)]
    conn.execute("update ref.venues set status = 'active' where venue = 'SIM'")
    assert desk.step(BUCKET) == 1
    desk.fill_last(seconds=BUCKET)
    desk.step(2 * BUCKET)
    assert desk.alerts() == [("plan_refused", False)]


def test_plan_whose_order_is_rejected_alerts_and_tries_again(conn, desk):
    desk.hold(100)
    desk.plan()
    desk.step(0)
    Venue(conn, desk.children()[0][0]).report("rejected", text="no")
    assert desk.step(BUCKET) == 1
    assert desk.alerts() == [("plan_refused", True)]


def test_plan_counts_what_others_reduce(desk, conn):
    desk.hold(100)
    desk.plan()
    desk.step(0)
    [(other, status, _)] = submit(
        conn, order(desk.session, side="sell", quantity="60", limit_price="99.99", reduce_only=True)
    )
    assert status == "pending_new"
    desk.fill_last()
    # 70 are held, 60 of them on offer.
    desk.step(BUCKET)
    assert [quantity for _, _, _, quantity in desk.children()] == [30, 10]
    Venue(conn, other).fill(60)
    desk.fill_last(seconds=BUCKET)
    desk.step(2 * BUCKET)
    assert (desk.position(), desk.status()) == (0, [("done", None)])


def test_plan_takes_back_an_order_that_others_have_made_too_large(conn, desk):
    desk.hold(100)
    desk.plan({"IBM": 50})
    desk.step(0)
    [(other, _, _)] = submit(
        conn, order(desk.session, side="sell", quantity="40", limit_price="99.99", reduce_only=True)
    )
    Venue(conn, other).fill(40)
    # 60 are held, 10 above the target, and 30 of the plan are on offer.
    desk.step(1)
    assert desk.children()[0][1] == "pending_cancel"


def test_plan_that_others_have_completed_is_done(conn, desk):
    desk.hold(100)
    desk.plan()
    [(other, _, _)] = submit(
        conn,
        order(desk.session, side="sell", quantity="100", limit_price="99.99", reduce_only=True),
    )
    Venue(conn, other).fill(100)
    assert desk.step(0) == 0
    assert desk.status() == [("done", None)]


def test_plan_takes_over_and_cancels_what_worked_before(conn, desk):
    desk.hold(100)
    desk.hold(10, "MSFT") if desk.quote(0, "MSFT") is None else None
    before = submit(conn, order(desk.session, quantity="5", limit_price="99"))[0][0]
    apart = submit(conn, order(desk.session, quantity="5", symbol="MSFT", limit_price="99"))[0][0]
    desk.plan({"IBM": 0})
    desk.step(0)
    rows = dict(conn.execute("select order_id, status from oms.orders").fetchall())
    assert (rows[before], rows[apart]) == ("pending_cancel", "pending_new")


def test_plan_paused_cancels_its_order_and_resumed_goes_on(conn, desk):
    desk.hold(100)
    plan = desk.plan()
    desk.step(0)
    conn.execute("select risk.pause_plan(%s, 'lunch')", (plan,))
    desk.step(1)
    order_id = desk.children()[0][0]
    assert desk.children()[0][1] == "pending_cancel"
    cancelled(conn, order_id)
    assert desk.step(BUCKET) == 0
    conn.execute("select risk.resume_plan(%s, 'back')", (plan,))
    assert desk.step(2 * BUCKET) == 1
    rows = conn.execute(
        "select action, reason, done_by from risk.plan_actions order by 1"
    ).fetchall()
    assert rows == [("pause", "lunch", "tsdb_trader"), ("resume", "back", "tsdb_trader")]


def test_plan_cancelled_is_over_with_its_last_order(conn, desk):
    desk.hold(100)
    plan = desk.plan()
    desk.step(0)
    conn.execute("select risk.cancel_plan(%s, 'enough')", (plan,))
    desk.step(1)
    assert desk.status() == [("cancelling", None)]
    cancelled(conn, desk.children()[0][0])
    assert desk.step(BUCKET) == 0
    assert desk.status() == [("cancelled", None)]
    desk.plan()
    for function in ("pause", "resume", "cancel"):
        with pytest.raises(psycopg.Error) as caught:
            conn.execute(f"select risk.{function}_plan(%s, 'again')", (plan,))
        assert caught.value.sqlstate == "TT004"


def test_plan_ends_with_its_session(conn, desk):
    desk.hold(100)
    desk.plan()
    conn.execute("select ops.close_session(%s)", (desk.session,))
    conn.execute("select risk.watch_sessions()")
    assert desk.status() == [("cancelled", "the session is over")]


def test_plan_that_cannot_make_an_order_fails_alone(conn, desk):
    desk.quote(0, "MSFT")
    desk.hold(100)
    desk.hold(100, "MSFT")
    plan = desk.plan({"IBM": 0})
    desk.plan({"MSFT": 0})
    # Somebody has used the request id of its first order for something else.
    taken = uuid.UUID(hashlib.md5(f"plan {plan} leg 1 bucket 1".encode()).hexdigest())  # noqa: S324
    submit(conn, order(desk.session, quantity="1"), request_id=taken)
    assert desk.step(0) == 1
    assert desk.alerts() == [("plan_failed", True)]
    desk.step(1)
    [(failed, note), (other, _)] = desk.status()
    assert (failed, other) == ("failed", "active")
    assert note is not None
    assert "was made before" in note


def test_plan_of_an_account_reduces_its_net_position_through_the_strategies_that_hold_it(
    conn, desk
):
    conn.execute(
        "insert into signal.strategies (strategy, description) "
        "values ('second', 'another'), ('third', 'another')"
    )
    desk.hold(50)
    desk.hold(40, strategy="second")
    desk.hold(-30, strategy="third")
    desk.plan(strategy=None, max_quantity=35)
    for bucket in range(3):
        if desk.step(bucket * BUCKET):
            desk.fill_last(seconds=bucket * BUCKET)
    held = [desk.position(strategy=name) for name in ("manual", "second", "third")]
    assert held == [15, 15, -30]
    assert desk.status() == [("done", None)]


def test_plan_of_a_strategy_waits_where_it_would_turn_the_account(conn, desk):
    conn.execute(
        "insert into signal.strategies (strategy, description) values ('second', 'another')"
    )
    desk.hold(100)
    desk.hold(-80, strategy="second")
    desk.plan(deadline=at(100).isoformat())
    desk.step(0)
    desk.fill_last()
    desk.step(BUCKET)
    desk.step(100)
    assert [quantity for _, _, _, quantity in desk.children()] == [20]
    assert desk.alerts() == [("plan_overdue", True)]


def test_plan_of_a_fraction_leaves_whole_lots(conn, desk):
    conn.execute("update ref.instruments set lot_size = 10")
    desk.hold(90)
    desk.plan({"fraction": 0.5})
    row = conn.execute("select target_quantity from risk.reduction_legs").fetchone()
    assert row == (40,)


def test_plan_in_lots_sends_the_odd_rest_with_the_last_order(conn, desk):
    desk.hold(95)
    conn.execute("update ref.instruments set lot_size = 10")
    desk.plan(max_quantity=44)
    for bucket in range(4):
        if desk.step(bucket * BUCKET):
            desk.fill_last(seconds=bucket * BUCKET)
    assert [quantity for _, _, _, quantity in desk.children()] == [40, 40, 15]
    assert desk.status() == [("done", None)]


@pytest.mark.parametrize(
    ("targets", "schedule", "sqlstate", "words"),
    [
        ({"IBM": 101}, {}, "TT001", "between 0 and the position"),
        ({"IBM": -1}, {}, "TT001", "between 0 and the position"),
        ({"MSFT": 5}, {}, "TT001", "between 0 and the position"),
        ({"IBM": 100}, {}, "TT001", "nothing to reduce"),
        ({"MSFT": 0}, {}, "TT001", "nothing to reduce"),
        ({"NONE": 0}, {}, "TT002", "does not exist"),
        ({"IBM": "0"}, {}, "TT001", "signed quantity"),
        ({"IBM": None}, {}, "TT001", "signed quantity"),
        ({"fraction": 1}, {}, "TT001", "fraction"),
        ({"fraction": -0.1}, {}, "TT001", "fraction"),
        ({"fraction": 0.5, "IBM": 0}, {}, "TT001", "targets are"),
        ({}, {}, "TT001", "targets are"),
        ("none", {}, "TT001", "targets are"),
        (None, {}, "TT001", "targets are"),
        ("flat", {"bucket_s": None}, "TT001", "bucket_s"),
        ("flat", {"bucket_s": 0.5}, "TT001", "bucket_s"),
        ("flat", {"bucket_s": "60"}, "TT001", "bucket_s"),
        ("flat", {"max_quantity": None}, "TT001", "cap per bucket"),
        ("flat", {"max_quantity": 0}, "TT001", "max_quantity"),
        ("flat", {"participation": 1.5}, "TT001", "participation"),
        ("flat", {"participation": 0}, "TT001", "participation"),
        ("flat", {"limit_offset_bps": -1}, "TT001", "limit_offset_bps"),
        ("flat", {"deadline": AS_OF.isoformat()}, "TT001", "deadline"),
        ("flat", {"deadline": "soon"}, "TT001", "time"),
        ("flat", {"speed": 3}, "TT001", "unknown"),
    ],
)
def test_plan_of_no_use_is_refused_and_leaves_nothing(
    conn, desk, targets, schedule, sqlstate, words
):
    add_instrument(conn, "MSFT")
    desk.hold(100)
    with pytest.raises(psycopg.Error, match=words) as caught:
        desk.plan(targets, **schedule)
    assert caught.value.sqlstate == sqlstate
    assert conn.execute("select count(*) from risk.reduction_plans").fetchone() == (0,)


@pytest.mark.parametrize(
    ("changes", "sqlstate"),
    [
        ({"session": uuid.UUID(int=7)}, "TT002"),
        ({"session": uuid.UUID(int=0)}, "TT004"),
        ({"account": "nobody"}, "TT002"),
        ({"strategy": "nobody"}, "TT002"),
        ({"reason": ""}, "TT001"),
        ({"as_of": None}, "TT001"),
    ],
)
def test_plan_of_what_does_not_exist_is_refused(conn, desk, changes, sqlstate):
    terms: dict[str, Any] = {
        "session": desk.session,
        "account": "main",
        "strategy": "manual",
        "reason": "test",
        "as_of": AS_OF,
    } | changes
    with pytest.raises(psycopg.Error) as caught:
        conn.execute(
            'select risk.plan_reduction(%s, %s, %s, \'"flat"\', \'{"bucket_s": 60, '
            '"max_quantity": 1}\', %s, %s)',
            (
                terms["session"],
                terms["account"],
                terms["strategy"],
                terms["reason"],
                terms["as_of"],
            ),
        )
    assert caught.value.sqlstate == sqlstate


def test_second_plan_for_the_same_position_is_refused(desk):
    desk.hold(100)
    desk.plan()
    with pytest.raises(psycopg.Error) as caught:
        desk.plan({"IBM": 50})
    assert caught.value.sqlstate == "TT004"


def test_plan_of_an_unknown_number_is_refused(conn):
    for function in ("pause", "resume", "cancel"):
        with pytest.raises(psycopg.Error) as caught:
            conn.execute(f"select risk.{function}_plan(77, 'why')")
        assert caught.value.sqlstate == "TT002"


def test_plans_are_made_by_operators_and_carried_out_by_workers(connect_as, desk):
    worker, operator = connect_as("tsdb_worker"), connect_as("tsdb_operator")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        worker.execute("select risk.cancel_plan(1, 'why')")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        operator.execute("select oms.step_plans(%s, %s)", (desk.session, AS_OF))
    desk.hold(10)
    operator.execute(
        "select risk.plan_reduction(%s, 'main', null, '\"flat\"', "
        "'{\"bucket_s\": 1, \"max_quantity\": 10}', 'test', %s)",
        (desk.session, AS_OF),
    )
    assert worker.execute("select oms.step_plans(%s, %s)", (desk.session, AS_OF)).fetchone() == (1,)


def test_order_that_increases_risk_is_denied_while_a_plan_is_active(conn, desk):
    desk.hold(100)
    desk.plan()
    # Lowered in the middle of the plan, the state is raised again with its next step.
    conn.execute("update risk.halts set resumed_at = clock_timestamp(), resumed_by = 'ann'")
    assert desk.step(0) == 1
    [(_, status, reasons)] = submit(conn, order(desk.session, quantity="1"))
    assert status == "denied"
    assert any("reduction plan" in reason for reason in reasons), reasons
    less = order(desk.session, side="sell", quantity="1", limit_price="99.99", reduce_only=True)
    assert submit(conn, less)[0][1] == "pending_new"
