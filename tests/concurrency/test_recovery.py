"""A recovery while orders are submitted: only what may have been sent is in doubt."""

from __future__ import annotations

import threading

from concurrency.test_limits import wait_for_lock
from factories import open_session, order, set_quote, submit


def test_order_submitted_during_a_recovery_is_not_asked_about(conn, connect_as):
    session = open_session(conn)
    set_quote(conn, session)
    conn.execute("insert into ref.accounts (account) values ('other')")
    doubtful = submit(conn, order(session))[0][0]
    holder, gateway = connect_as(None, autocommit=False), connect_as("worker")
    holder.execute("select from oms.orders where order_id = %s for update", (doubtful,))
    asked: list[int] = []
    recovery = threading.Thread(
        target=lambda: asked.extend(
            row[0]
            for row in gateway.execute("select order_id from oms.begin_recovery('SIM')").fetchall()
        )
    )
    recovery.start()
    wait_for_lock(conn, gateway)
    fresh = submit(conn, order(session, account="other"))[0]
    assert fresh[1] == "pending_new"
    holder.rollback()
    recovery.join(30)
    assert asked == [doubtful]
