"""Makes several engines in one process, and says how many: several_engines.py <store>."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any, cast

from tsdb_trader import schema
from tsdb_trader.clock import SystemClock
from tsdb_trader.fix.inbound import Inbox
from tsdb_trader.fix.session import Engine
from tsdb_trader.fix.session_settings import SessionSettings

made = [
    Engine(
        SessionSettings(
            template=schema.root() / "fixcfg" / "gateway.cfg",
            host="127.0.0.1",
            port=1,
            sender=f"S{number}",
            target="T",
            store=Path(sys.argv[1]),
        ),
        cast("Inbox", cast("Any", None)),
        lambda: True,
        SystemClock(),
    )
    for number in range(4)
]
print(f"{len(made)} engines")
sys.stdout.flush()
os._exit(0)
