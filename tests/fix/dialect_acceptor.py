"""A venue of any version with QuickFIX's full validation; it knows nothing of tsdb_trader.

An order is answered with a report in codes of the venue's own, a question with a logout that repeats
the password. Everything received leaves as JSON lines on stdout.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from pathlib import Path
from typing import Any

import quickfix

SOH = "\x01"
DONE = threading.Event()


def emit(**event: Any) -> None:
    sys.stdout.write(json.dumps(event) + "\n")
    sys.stdout.flush()


class Acceptor(quickfix.Application):
    odd: tuple[tuple[int, str], ...] = ()

    def onCreate(self, session):
        return

    def onLogon(self, session):
        emit(event="logon")

    def onLogout(self, session):
        DONE.set()

    def toAdmin(self, message, session):
        return

    def toApp(self, message, session):
        return

    def fromAdmin(self, message, session):
        emit(event="admin", raw=message.toString())

    def fromApp(self, message, session):
        emit(event="message", raw=message.toString())
        if message.getHeader().getField(35) == "D":
            self.report(message, session)
        else:
            quickfix.Session.lookupSession(session).logout("we know you, s3cret")

    def report(self, order, session):
        report = quickfix.Message()
        report.getHeader().setField(quickfix.StringField(35, "8"))
        copied = ((tag, order.getField(tag)) for tag in (11, 54, 55, 60))
        for tag, value in (*copied, *self.odd):
            report.setField(quickfix.StringField(tag, value))
        quickfix.Session.sendToTarget(report, session)


def main(begin: str, port: str, folder: str, dictionaries: str, odd: str) -> None:
    config = Path(folder) / "venue.cfg"
    config.parent.mkdir(parents=True, exist_ok=True)
    config.write_text(
        f"[DEFAULT]\nConnectionType=acceptor\nBeginString={begin}\nSenderCompID=SIM\n"
        f"TargetCompID=TSDB\nSocketAcceptPort={port}\nSocketReuseAddress=Y\nSocketNodelay=Y\n"
        f"NonStopSession=Y\nFileStorePath={folder}\n{dictionaries}\n[SESSION]\n"
    )
    settings = quickfix.SessionSettings(str(config))
    app = Acceptor()
    app.odd = tuple((tag, value) for tag, value in json.loads(odd))
    stores = quickfix.FileStoreFactory(settings)
    acceptor = quickfix.SocketAcceptor(app, stores, settings)
    acceptor.start()
    emit(event="ready")
    DONE.wait(60)
    os._exit(0)


if __name__ == "__main__":
    main(*sys.argv[1:])
