"""Runs venues as their own process: process.py <url of the venue's role> [sessions [venue ...]]."""

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
_, url, *rest = sys.argv
sessions = Path(rest[0]) if rest and rest[0] else None
worker = VenueWorker(rest[1:] or "SIM", url, sessions=sessions)
install_signals(stop)
Loop(worker, url=url, stop=stop).run()
os._exit(0)
