"""The gateway as `tsdb-trader worker gateway` runs it, with the database's URL as an argument."""

from __future__ import annotations

import os
import sys

from tsdb_trader import logs
from tsdb_trader.workers.gateway import GatewayWorker
from tsdb_trader.workers.loop import Loop
from tsdb_trader.workers.stopping import Stop, install_signals


def main(url: str, patience_s: str, answer_timeout_s: str, *sessions: str) -> None:
    logs.configure("INFO")
    worker = GatewayWorker(
        sessions, url, patience_s=float(patience_s), answer_timeout_s=float(answer_timeout_s)
    )
    stop = Stop()
    install_signals(stop)
    Loop(worker, url=url, stop=stop).run()
    os._exit(0)


if __name__ == "__main__":
    main(*sys.argv[1:])
