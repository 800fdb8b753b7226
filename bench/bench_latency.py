"""Quote committed to order on the wire, against one commit, one NOTIFY round trip, one bare send.

Both ends of the path are measured where they can be seen from outside: from the return of the
commit that wrote the quotes to the arrival of the first order at the counterparty.
"""

from __future__ import annotations

import time

from _bare import Initiator, commits, notify_round_trips
from _rig import Counterparty, Market, percentiles, rig

WARM_UP, SAMPLES = 30, 500


def main() -> None:
    with rig() as r:
        conn = r.connect()
        market = Market(conn)
        r.start("signals", "gateway")
        market.quote()
        took = []
        for sample in range(WARM_UP + SAMPLES):
            committed = market.quote()
            arrivals = [r.counterparty.arrival()[1] for _ in range(2)]
            if sample >= WARM_UP:
                took.append(min(arrivals) - committed)
            filled = 2 * (sample + 1)
            r.wait(
                lambda filled=filled: (
                    conn.execute("select count(*) from oms.executions").fetchone() == (filled,)
                ),
                "the fills",
            )
        stages = conn.execute(
            "select stage, p50_ms, p99_ms from ops.latency where stage_no <= 3 order by stage_no"
        ).fetchall()
        commit = percentiles(commits(conn, 1000))
        notify = percentiles(notify_round_trips(r.url(), 1000))
        bare = Counterparty(r.folder / "bare")
        initiator = Initiator(bare.port, r.folder / "bare_initiator")
        sent = []
        for number in range(WARM_UP + SAMPLES):
            began = time.time()
            initiator.send(number)
            arrived = bare.arrival()[1]
            if number >= WARM_UP:
                sent.append(arrived - began)
            initiator.reports.acquire()
        bare.stop()
        send = percentiles(sent)
        path = percentiles(took)
    print(
        f"quote committed to order at the counterparty: p50 {path[0]:.2f} ms, p99 {path[1]:.2f} ms ({SAMPLES} quotes, two orders each)"
    )
    for name, p50, p99 in stages:
        print(f"  of it {name}: p50 {p50:.2f} ms, p99 {p99:.2f} ms")
    for name, figure in (
        ("one commit", commit),
        ("one NOTIFY round trip", notify),
        ("one bare QuickFIX send", send),
    ):
        print(f"  {name}: p50 {figure[0]:.2f} ms, p99 {figure[1]:.2f} ms")
    limit = [commit[i] + notify[i] + send[i] for i in (0, 1)]
    print(f"limit (their sum): p50 {limit[0]:.2f} ms, p99 {limit[1]:.2f} ms")
    print(
        f"ratio: p50 {path[0] / limit[0]:.2f}, p99 {path[1] / limit[1]:.2f} (aim: p50 3 or less)",
        flush=True,
    )


if __name__ == "__main__":
    import os

    main()
    os._exit(0)  # QuickFIX may crash in its own destructors
