"""A scripted FIX 4.4 acceptor in a process of its own; it knows nothing of tsdb_trader.

Commands come as JSON lines on stdin, events leave as JSON lines on stdout. It answers nothing by
itself: every report is a command of the test.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

import quickfix

SOH = "\x01"
LOCK = threading.Lock()


def emit(event: str, **more: Any) -> None:
    with LOCK:
        sys.stdout.write(json.dumps({"event": event, **more}) + "\n")
        sys.stdout.flush()


def fields(message: quickfix.Message) -> dict[str, str]:
    split = (part.partition("=") for part in message.toString().split(SOH)[:-1])
    return {tag: value for tag, _, value in split}


class Acceptor(quickfix.Application):
    kill_at = ""
    victim = 0

    def onCreate(self, session):
        return

    def onLogon(self, session):
        emit("logon")

    def onLogout(self, session):
        emit("logout")

    def toAdmin(self, message, session):
        return

    def toApp(self, message, session):
        return

    def fromAdmin(self, message, session):
        found = fields(message)
        if found["35"] == "0" and "112" in found:
            emit("barrier", token=found["112"])
        elif found["35"] in ("3", "4"):
            emit("admin", fields=found)

    def fromApp(self, message, session):
        found = fields(message)
        if self.kill_at == found["35"]:
            self.kill_at = ""
            os.kill(self.victim, signal.SIGKILL)
        emit("message", fields=found)


def send(session: quickfix.SessionID, pairs: list[list[Any]]) -> None:
    message = quickfix.Message()
    tags = [tag for tag, _ in pairs]
    if 552 in tags:
        # The sides of a trade: what follows their number is one side.
        at = tags.index(552)
        side = quickfix.Group(552, 54)
        for tag, value in pairs[at + 1 :]:
            side.setField(quickfix.StringField(int(tag), str(value)))
        message.addGroup(side)
        pairs = pairs[:at]
    for tag, value in pairs:
        part = message.getHeader() if tag in (35, 43, 97, 122) else message
        part.setField(quickfix.StringField(int(tag), str(value)))
    quickfix.Session.sendToTarget(message, session)


def main(port: str, folder: str, dictionary: str) -> None:
    config = Path(folder) / "venue.cfg"
    config.parent.mkdir(parents=True, exist_ok=True)
    config.write_text(
        "[DEFAULT]\nConnectionType=acceptor\nBeginString=FIX.4.4\nSenderCompID=SIM\n"
        f"TargetCompID=TSDB\nSocketAcceptPort={port}\nSocketReuseAddress=Y\nSocketNodelay=Y\n"
        f"NonStopSession=Y\nFileStorePath={folder}\nDataDictionary={dictionary}\n[SESSION]\n"
    )
    settings = quickfix.SessionSettings(str(config))
    app = Acceptor()
    stores = quickfix.FileStoreFactory(settings)
    acceptor = quickfix.SocketAcceptor(app, stores, settings)
    acceptor.start()
    session = quickfix.SessionID("FIX.4.4", "SIM", "TSDB")
    emit("ready")
    for line in sys.stdin:
        command = json.loads(line)
        match command["do"]:
            case "send":
                send(session, command["fields"])
            case "barrier":
                send(session, [[35, "1"], [112, command["token"]]])
            case "kill":
                app.victim, app.kill_at = command["pid"], command["at"]
                emit("armed")
            case "logout":
                quickfix.Session.lookupSession(session).logout()
            case "logon":
                quickfix.Session.lookupSession(session).logon()
    os._exit(0)


if __name__ == "__main__":
    main(*sys.argv[1:])
