"""Busts and corrections end to end: the venue's books and ours say the same afterwards."""

from __future__ import annotations

import pytest

from fix.harness import until
from fix.trading import Trading

pytestmark = pytest.mark.slow
VERSIONS = ["FIX.4.2", "FIX.4.4", "FIX.5.0SP2"]
TAKES = "100.02"

_THEIRS = """
    select o.status, o.quantity::integer, o.cumulative_quantity::integer,
        (select coalesce(sum(e.quantity), 0)::integer from venue.executions e
            where e.venue = o.venue and e.order_no = o.order_no)
    from venue.orders o where o.venue = 'SIM' order by o.order_no
"""
_OURS = """
    select o.status, o.quantity::integer, o.cumulative_quantity::integer,
        (select coalesce(sum(e.quantity), 0)::integer from oms.executions e
            where e.order_id = o.order_id)
    from oms.orders o order by o.order_id
"""


def fills(trading: Trading) -> list[str]:
    """Return the ExecIDs of our fills, in order."""
    rows = trading.conn.execute(
        "select exec_id from oms.executions where kind = 'fill' order by execution_id"
    )
    return [row[0] for row in rows]


def agreed(trading: Trading) -> list[tuple[object, ...]]:
    """Return status, quantity, filled quantity and the sum of executions: the same for both."""
    theirs = trading.conn.execute(_THEIRS).fetchall()
    assert trading.conn.execute(_OURS).fetchall() == theirs
    return theirs


def value(trading: Trading) -> tuple[object, object]:
    """Return what was paid for what stands: the venue's and ours."""
    return (
        trading.one("select sum(quantity * price)::float8 from venue.executions"),
        trading.one("select sum(quantity * price)::float8 from oms.executions"),
    )


def recover(trading: Trading) -> None:
    """Have the gateway ask the venue for its orders and trades, and find no difference."""
    trading.gateway.kill()
    trading.gateway.start()
    trading.await_gate()
    assert trading.breaks() == []


@pytest.mark.parametrize("version", VERSIONS)
def test_bust_of_a_filled_order_ends_it_as_cancelled_with_what_is_left(
    trading: Trading, version: str
) -> None:
    trading.open(version)
    order = trading.submit(quantity="400", limit_price=TAKES)
    trading.await_state(order, "partially_filled", 400, 300)
    trading.tape.batch(("IBM", ("100.00", 500, TAKES, 301)))
    trading.await_state(order, "filled", 400, 400)
    first, second = fills(trading)
    assert trading.hall.command("bust", exec_id=second).endswith("taken back")
    trading.await_state(order, "cancelled", 400, 300)
    assert agreed(trading) == [("cancelled", 400, 300, 300)]
    trading.hall.command("bust", exec_id=first)
    trading.await_state(order, "cancelled", 400, 0)
    assert agreed(trading) == [("cancelled", 400, 0, 0)]
    assert value(trading) == (0, 0)
    # Nothing was put back: the market comes to its price again, and nothing trades.
    trading.tape.batch(("IBM", ("99.90", 500, "99.95", 900)))
    later = trading.submit(quantity="10", limit_price="99.95")
    trading.await_state(later, "filled", 10, 10)
    assert agreed(trading) == [("cancelled", 400, 0, 0), ("filled", 10, 10, 10)]
    recover(trading)
    assert agreed(trading) == [("cancelled", 400, 0, 0), ("filled", 10, 10, 10)]


@pytest.mark.parametrize("version", VERSIONS[:2])
def test_bust_of_a_working_order_lets_it_trade_the_quantity_again(
    trading: Trading, version: str
) -> None:
    trading.open(version)
    order = trading.submit(quantity="400", limit_price=TAKES)
    trading.await_state(order, "partially_filled", 400, 300)
    [exec_id] = fills(trading)
    trading.hall.command("bust", exec_id=exec_id)
    trading.await_state(order, "new", 400, 0)
    assert agreed(trading) == [("new", 400, 0, 0)]
    recover(trading)
    trading.tape.batch(("IBM", ("100.00", 500, TAKES, 900)))
    trading.await_state(order, "filled", 400, 400)
    assert agreed(trading) == [("filled", 400, 400, 400)]


def test_bust_of_a_cancelled_order_leaves_it_cancelled(trading: Trading) -> None:
    trading.open()
    order = trading.submit(quantity="400", limit_price=TAKES)
    trading.await_state(order, "partially_filled", 400, 300)
    trading.cancel(order)
    trading.await_state(order, "cancelled", 400, 300)
    [exec_id] = fills(trading)
    trading.hall.command("bust", exec_id=exec_id)
    trading.await_state(order, "cancelled", 400, 0)
    assert agreed(trading) == [("cancelled", 400, 0, 0)]
    recover(trading)


@pytest.mark.parametrize("version", VERSIONS)
def test_correction_of_a_filled_order_ends_it_by_what_stands(
    trading: Trading, version: str
) -> None:
    trading.open(version)
    order = trading.submit(quantity="100", limit_price=TAKES)
    trading.await_state(order, "filled", 100, 100)
    [exec_id] = fills(trading)

    def correct(**terms: str) -> str:
        """Correct the last report of the execution, and return that of the correction."""
        assert trading.hall.command("correct", exec_id=exec_id, **terms).startswith("corrected")
        return str(
            trading.one(
                "select exec_id from venue._reports where exec_type = 'G' "
                "order by report_no desc limit 1"
            )
        )

    exec_id = correct(price="100.01")
    until(lambda: value(trading) == (10001.0, 10001.0), "the other price")
    assert agreed(trading) == [("filled", 100, 100, 100)]
    exec_id = correct(quantity="60")
    trading.await_state(order, "cancelled", 100, 60)
    assert agreed(trading) == [("cancelled", 100, 60, 60)]
    exec_id = correct(quantity="100")
    trading.await_state(order, "filled", 100, 100)
    assert agreed(trading) == [("filled", 100, 100, 100)]
    assert trading.hall.command("correct", exec_id=exec_id, quantity="101").startswith("refused")
    recover(trading)
    assert value(trading) == (10001.0, 10001.0)
