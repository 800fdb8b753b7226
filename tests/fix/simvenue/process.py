"""Runs a venue as its own process: process.py <url of the venue's role> [file of sessions]."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from tsdb_trader import logs
from tsdb_trader.workers.loop import Loop
from tsdb_trader.workers.stopping import Stop, install_signals
from tsdb_trader.workers.venue import VenueWorker

logs.configure("INFO")
stop = Stop()
url, *files = sys.argv[1:]
worker = VenueWorker("SIM", url, sessions=Path(files[0]) if files else None)
install_signals(stop)
Loop(worker, url=url, stop=stop).run()
os._exit(0)
