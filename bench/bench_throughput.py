"""Orders per second through the whole path, against what its commits and bare QuickFIX allow.

The path: `oms.submit_order` by one submitter, the gateway, a counterparty that fills at once, and the
fill booked. The gateway alone, with all its recording, is measured first: as many orders come in one
transaction. Every order costs two commits that cannot be shared, the submission and the report, which
two connections make side by side. The limit does just that, with one-row inserts, while a bare
initiator keeps 100 orders outstanding with the same counterparty: the slowest of the three decides.
"""

from __future__ import annotations

import os
import threading
import time
import uuid

from psycopg.types.json import Jsonb

from _bare import Initiator, commits
from _rig import Counterparty, Market, Rig, rig

ORDERS = 3000


def path(r: Rig) -> tuple[float, float]:
    """Return the orders per second of the gateway, which gets them at once, and of the whole path."""
    conn, submitter = r.connect(), r.connect("worker")
    market = Market(conn)
    market.quote()
    as_of = conn.execute("select max(ts) from market.latest_quotes").fetchone()
    conn.execute("select risk.set_limit('position', '{}', 1000000000, 'benchmark')")
    order = Jsonb(
        {
            "session_id": str(market.session_id), "account": "main", "strategy": "manual",
            "origin": "operator", "operator": "bench", "symbol": "AAA", "side": "buy",
            "quantity": "100", "order_type": "limit", "limit_price": "100.01",
        }
    )  # fmt: skip

    def submit(count: int) -> None:
        for _ in range(count):
            submitter.execute(
                "select * from oms.submit_order(%s, %s, %s)", (order, uuid.uuid4(), as_of[0])
            )

    def filled(count: int) -> None:
        r.wait(
            lambda: conn.execute("select count(*) from oms.executions").fetchone() == (count,),
            "the fills",
        )

    r.start("gateway")
    submit(100)
    filled(100)
    with submitter.transaction():
        submit(ORDERS)
    filled(100 + ORDERS)
    gateway = conn.execute(
        """select count(*) / extract(epoch from max(e.recorded_at) - min(a.sent_at))
        from oms.executions e join oms.order_actions a using (order_id)
        where order_id > (select min(order_id) + 99 from oms.orders)"""
    ).fetchone()
    began = time.perf_counter()
    submit(ORDERS)
    submitted = time.perf_counter() - began
    filled(100 + 2 * ORDERS)
    took = time.perf_counter() - began
    print(f"submitted {ORDERS} orders at {ORDERS / submitted:.0f}/s")
    return float(gateway[0]), ORDERS / took


def limit(r: Rig) -> float:
    """Return the orders per second that two committers and bare QuickFIX reach side by side."""
    bare = Counterparty(r.folder / "bare")
    initiator = Initiator(bare.port, r.folder / "bare_initiator")
    rates: dict[str, float] = {}
    with r.connect() as conn:
        commits(conn, 100)

    def commit(name: str) -> None:
        with r.connect() as conn:
            rates[name] = ORDERS / sum(commits(conn, ORDERS))

    def trade() -> None:
        began = time.perf_counter()
        for number in range(ORDERS):
            if number >= 100:
                initiator.reports.acquire()
            initiator.send(number)
        for _ in range(100):
            initiator.reports.acquire()
        rates["bare QuickFIX, 100 outstanding"] = ORDERS / (time.perf_counter() - began)

    threads = [threading.Thread(target=commit, args=(n,)) for n in ("submissions", "reports")]
    threads.append(threading.Thread(target=trade))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    bare.stop()
    for name, rate in rates.items():
        print(f"  {name}: {rate:.0f}/s")
    return min(rates.values())


def main() -> None:
    with rig() as r:
        gateway, reached = path(r)
        print(f"gateway with recording: {gateway:.0f} orders/s, sent, filled and booked")
        print(f"full path: {reached:.0f} orders/s, every one filled and booked")
        allowed = limit(r)
    print(f"limit (the slowest, all at once): {allowed:.0f}/s")
    print(f"ratio: {reached / allowed:.2f} (aim: 0.7 or more)", flush=True)


if __name__ == "__main__":
    main()
    os._exit(0)  # QuickFIX may crash in its own destructors
