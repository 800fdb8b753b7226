"""Runs a venue as its own process: venue_process.py <url of the venue's role>."""

from __future__ import annotations

import os
import sys

from tsdb_trader import logs
from tsdb_trader.workers.loop import Loop
from tsdb_trader.workers.stopping import Stop, install_signals
from tsdb_trader.workers.venue import VenueWorker

logs.configure("INFO")
stop = Stop()
worker = VenueWorker("SIM", sys.argv[1])
install_signals(stop)
Loop(worker, url=sys.argv[1], stop=stop).run()
os._exit(0)
