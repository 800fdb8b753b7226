"""A risk worker as `tsdb-trader worker risk` runs it, with the database's URL as an argument."""

from __future__ import annotations

import os
import sys

from tsdb_trader import logs
from tsdb_trader.workers.loop import Loop
from tsdb_trader.workers.risk import RiskWorker
from tsdb_trader.workers.stopping import Stop, install_signals


def main(url: str) -> None:
    logs.configure("INFO")
    stop = Stop()
    install_signals(stop)
    Loop(RiskWorker(), url=url, stop=stop).run()
    os._exit(0)


if __name__ == "__main__":
    main(*sys.argv[1:])
