"""The gateway's FIX engine without a database: one order, one question, then the archive.

What it receives, and at the end its archive, leave as JSON lines on stdout.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from pathlib import Path
from typing import Any
from uuid import UUID

from pydantic import SecretStr

from fix_dialects import ORDER
from tsdb_trader import logs
from tsdb_trader.clock import SystemClock
from tsdb_trader.fix import codec_orders, codec_requests
from tsdb_trader.fix.codec import Fields
from tsdb_trader.fix.session import Engine
from tsdb_trader.fix.session_settings import SessionSettings
from tsdb_trader.fix.versions import version_named
from tsdb_trader.model import FixMessage, Question

TEMPLATE = Path(__file__).parents[2] / "fixcfg" / "gateway.cfg"


def emit(**event: Any) -> None:
    sys.stdout.write(json.dumps(event) + "\n")
    sys.stdout.flush()


class Callbacks:
    """Stands in for the inbox: tells what comes, and when the session begins and ends."""

    def __init__(self) -> None:
        self.changed = threading.Event()
        self.reported = threading.Event()

    def wake(self) -> None:
        self.changed.set()

    def connected(self) -> None:
        self.wake()

    def disconnected(self) -> None:
        self.wake()

    def heard(self, _sending_time: str) -> None:
        pass

    def receive(self, message: FixMessage, _fields: Fields) -> None:
        emit(event="message", raw=message.raw)
        self.reported.set()


def main(version_name: str, port: str, folder: str, user_name: str) -> None:
    logs.configure("INFO")
    version = version_named(version_name)
    settings = SessionSettings(
        template=TEMPLATE,
        host="127.0.0.1",
        port=int(port),
        sender="TSDB",
        target="SIM",
        store=Path(folder),
        version=version,
        user_name=user_name or None,
        password=SecretStr("s3cret"),
    )
    emit(event="settings", raw=repr(settings))
    callbacks = Callbacks()
    engine = Engine(settings, callbacks, lambda: True, SystemClock())  # type: ignore[arg-type]
    engine.start()
    assert callbacks.changed.wait(30)
    callbacks.changed.clear()
    emit(event="sent", raw=engine.send(codec_orders.encode_action(ORDER, version)).raw)
    assert callbacks.reported.wait(30)
    if version.requests:
        question = codec_requests.encode_mass_status("ask-1", version)
    else:
        asked = Question(2, ORDER.cl_ord_id, UUID(int=7), "IBM", "buy", "unknown")
        question = codec_orders.encode_question(asked, "ask-1", version)
    emit(event="sent", raw=engine.send(question).raw)
    assert callbacks.changed.wait(30)
    for message in engine.archive:
        emit(event="archived", direction=message.direction, raw=message.raw)
    engine.stop()
    os._exit(0)


if __name__ == "__main__":
    main(*sys.argv[1:])
