"""Order to acknowledgement booked: bare QuickFIX, the gateway with recording, the whole path.

The counterparty fills at once, so its one report is the acknowledgement. The whole path is from the call
of `oms.submit_order` to the notification that the report is booked; the gateway's part starts when the
submission has committed. What cannot be avoided is the bare round trip and two commits that have to
follow each other: the order before it leaves, the report before it is confirmed.
"""

from __future__ import annotations

import os
import time
import uuid

import psycopg
from psycopg.types.json import Jsonb

from _bare import Initiator, commits
from _rig import Counterparty, Market, Rig, percentiles, rig

WARM_UP, SAMPLES = 50, 1000


def path(r: Rig) -> tuple[list[float], list[float]]:
    """Return the seconds of the whole path and of the gateway's part, per order."""
    market = Market(r.connect())
    market.quote()
    submitter, listener = r.connect("worker"), r.connect("worker")
    listener.execute("listen oms_executions")
    as_of = submitter.execute("select max(ts) from market.latest_quotes").fetchone()
    with r.connect() as conn:
        conn.execute("select risk.set_limit('position', '{}', 1000000000, 'benchmark')")
    r.start("gateway")
    order = Jsonb(
        {
            "session_id": str(market.session_id), "account": "main", "strategy": "manual",
            "origin": "operator", "operator": "bench", "symbol": "AAA", "side": "buy",
            "quantity": "100", "order_type": "limit", "limit_price": "100.01",
        }
    )  # fmt: skip
    whole, gateway = [], []
    for sample in range(WARM_UP + SAMPLES):
        began = time.perf_counter()
        submitter.execute(
            "select * from oms.submit_order(%s, %s, %s)", (order, uuid.uuid4(), as_of[0])
        )
        submitted = time.perf_counter()
        booked(listener)
        done = time.perf_counter()
        if sample >= WARM_UP:
            whole.append(done - began)
            gateway.append(done - submitted)
    return whole, gateway


def booked(listener: psycopg.Connection) -> None:
    """Wait for the notification of one execution."""
    if not list(listener.notifies(timeout=30, stop_after=1)):
        raise SystemExit("an order was not filled in 30 s")


def bare(r: Rig) -> list[float]:
    """Return the seconds of each round trip of an order and its report, nothing recorded."""
    counterparty = Counterparty(r.folder / "bare")
    initiator = Initiator(counterparty.port, r.folder / "bare_initiator")
    took = []
    for number in range(WARM_UP + SAMPLES):
        began = time.perf_counter()
        initiator.send(number)
        initiator.reports.acquire()
        if number >= WARM_UP:
            took.append(time.perf_counter() - began)
    counterparty.stop()
    return took


def main() -> None:
    with rig() as r:
        whole, gateway = (percentiles(seconds) for seconds in path(r))
        engine = percentiles(bare(r))
        with r.connect() as conn:
            commit = percentiles(commits(conn, SAMPLES))
    for name, figure in (
        ("bare QuickFIX, order to report", engine),
        ("one commit", commit),
        ("gateway with recording, submitted to booked", gateway),
        ("whole path, submit_order called to booked", whole),
    ):
        print(f"{name}: p50 {figure[0]:.2f} ms, p99 {figure[1]:.2f} ms")
    limit = engine[0] + 2 * commit[0]
    print(f"limit (bare round trip and two commits): p50 {limit:.2f} ms")
    print(f"ratio: p50 {whole[0] / limit:.2f} (aim: 1.5 or less)", flush=True)


if __name__ == "__main__":
    main()
    os._exit(0)  # QuickFIX may crash in its own destructors
