"""The gateway against the simulated venue, in every version of FIX: real processes, real passwords."""

from __future__ import annotations

import pytest
from psycopg.types.json import Jsonb

from fix.harness import until
from fix.trading import QUOTE, SECRET, SENDERS, Trading

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("version", SENDERS)
def test_session_of_each_version_trades_and_recovers_after_a_kill(
    trading: Trading, version: str
) -> None:
    trading.open(version)
    rests = trading.submit()
    trading.await_state(rests, "new", 100)
    trading.replace(rests, quantity="150", limit_price="99.95")
    trading.await_state(rests, "new", 150)
    filled = trading.submit(quantity="50", limit_price="100.02")
    trading.await_state(filled, "filled", 50, 50)
    trading.gateway.kill()
    trading.cancel(rests)
    later = trading.submit()
    trading.gateway.start()
    trading.await_state(rests, "cancelled", 150)
    trading.await_state(later, "new", 100)
    # FIX 4.2 cannot list orders or trades, and is asked order by order.
    asked = [k for k in trading.kinds() if k in ("H", "AF", "AD")]
    if version == "FIX.4.2":
        assert set(asked) == {"H"}
    else:
        assert asked[0] == "AF"
        until(
            lambda: (
                trading.one("select count(*) from oms.venue_trades where source = 'trade_capture'")
                == 1
            ),
            "the trade in the venue's list",
        )
    assert [k for k in trading.kinds() if k in "DGF"] == ["D", "G", "D", "F", "D"]
    assert trading.breaks() == []
    logon = trading.one(
        "select raw from oms.fix_messages where direction = 'out' and msg_type = 'A' limit 1"
    )
    assert SECRET not in logon


def test_wrong_password_is_no_session(trading: Trading, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TSDB_TRADER_FIX_SIM_PASSWORD", "wrong")
    trading.tape.batch(("IBM", QUOTE))
    trading.hall.admit("TSDB", password_from="env:VENUE_SECRET")
    trading.hall.open()
    trading.gateway.start()
    until(lambda: "connection lost" in trading.gateway.log(), "the venue to refuse the logon")
    assert not trading.beat()["logged_on"]
    assert "wrong" not in trading.gateway.log()


def test_action_that_fix_cannot_say_is_refused_and_the_next_one_sent(trading: Trading) -> None:
    # The database refuses what no version can say, as far as it knows; here something slips through.
    trading.conn.execute("alter table ref.instruments drop constraint instruments_symbol_check")
    odd_name = "IB\u200bM"
    trading.tape.list(odd_name)
    trading.tape.batch((odd_name, QUOTE))
    trading.open()
    odd = trading.submit(symbol=odd_name)
    good = trading.submit()
    trading.await_state(good, "new", 100)
    trading.await_state(odd, "rejected", 100)
    [reason] = trading.one("select reasons from oms.orders where order_id = %s", odd)
    assert reason.startswith("gateway: ")
    assert "tag 55 cannot carry" in reason
    assert "action_refused" in trading.alerts()
    assert [k for k in trading.kinds() if k in "DGF"] == ["D"]


@pytest.mark.parametrize("version", SENDERS)
def test_order_filled_while_the_gateway_was_down_is_filled_and_not_sent_again(
    trading: Trading, version: str
) -> None:
    trading.open(version)
    rests = trading.submit()
    trading.await_state(rests, "new", 100)
    trading.gateway.kill()
    trading.tape.batch(("IBM", ("99.80", 500, "99.85", 300)))
    until(
        lambda: trading.one("select status from venue.orders") == "filled", "the venue to fill it"
    )
    trading.gateway.start()
    trading.await_state(rests, "filled", 100, 100)
    trading.await_gate()
    assert [k for k in trading.kinds() if k in "DGF"] == ["D"]
    assert trading.breaks() == []


def test_terms_that_differ_are_a_break_found_in_quiet_operation(
    trading: Trading,
) -> None:
    trading.open(mass_status_every_s=1)
    ours = trading.submit()
    trading.await_state(ours, "new", 100)
    cl_ord_id = trading.one("select cl_ord_id from oms.orders")
    assert trading.hall.command("restate", cl_ord_id=cl_ord_id, quantity="60")
    until(lambda: trading.state(ours)[1] == 60, "the restatement to arrive")
    trading.conn.execute(
        "update oms.orders set quantity = 70, updated_at = updated_at - interval '1 minute'"
    )
    until(lambda: ("terms", "mass_status") in trading.breaks(), "a break about its terms")
    trading.conn.execute(
        "update oms.orders set quantity = 60, updated_at = updated_at - interval '1 minute'"
    )
    until(lambda: trading.breaks() == [], "the break to close when both agree again")


def test_drop_copy_is_compared_and_never_applied(trading: Trading) -> None:
    trading.hall.admit("DROP", drop_copy=True)
    trading.conn.execute(
        "select oms.add_fix_session('SIM-COPY', 'SIM', %s)",
        (Jsonb({"kind": "drop_copy", "sender": "DROP"}),),
    )
    trading.gateway.sessions = []
    trading.configure("SIMPR", status="inactive")
    trading.configure("SIMDARK", status="inactive")
    trading.open()
    until(lambda: trading.beat("SIM-COPY").get("logged_on"), "the drop-copy session")
    filled = trading.submit(quantity="50", limit_price="100.02")
    trading.await_state(filled, "filled", 50, 50)
    until(
        lambda: (
            trading.one("select count(*) from oms.venue_trades where source = 'drop_copy'") == 1
        ),
        "the copy of the fill",
    )
    assert trading.one("select count(*) from oms.executions") == 1
    exec_id = trading.one("select exec_id from oms.venue_trades where source = 'drop_copy'")
    trading.hall.command("bust", exec_id=exec_id)
    until(
        lambda: (
            trading.one("select count(*) from oms.venue_trades where source = 'drop_copy'") == 2
        ),
        "the copy of the bust",
    )
    copies = trading.one(
        "select count(*) from oms.fix_messages where fix_session like '%%DROP->SIM' "
        "and msg_type = '8' and direction = 'in'"
    )
    assert copies >= 3
    # The copy can be quicker than the report itself.
    until(lambda: trading.one("select count(*) from oms.executions") == 2, "the bust itself")
