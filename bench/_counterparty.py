"""A bare QuickFIX acceptor: prints when each order arrived, and fills it. No journal, no checks."""

from __future__ import annotations

import json
import sys
import sysconfig
import time
from pathlib import Path
from typing import Any

import quickfix as fix

CONFIGURATION = """
[DEFAULT]
ConnectionType=acceptor
SocketAcceptPort={port}
SocketReuseAddress=Y
SocketNodelay=Y
StartTime=00:00:00
EndTime=00:00:00
HeartBtInt=30
FileStorePath={store}
UseDataDictionary=Y
DataDictionary={dictionary}
[SESSION]
BeginString=FIX.4.4
SenderCompID=SIM
TargetCompID=TSDB
"""


class Application(fix.Application):
    """Answers every D with one fill of all of it."""

    count = 0

    def onCreate(self, session: Any) -> None: ...
    def onLogon(self, session: Any) -> None: ...
    def onLogout(self, session: Any) -> None: ...
    def toAdmin(self, message: Any, session: Any) -> None: ...
    def fromAdmin(self, message: Any, session: Any) -> None: ...
    def toApp(self, message: Any, session: Any) -> None: ...

    def fromApp(self, message: Any, session: Any) -> None:
        arrived = time.time()
        if message.getHeader().getField(35) != "D":
            return
        order = fix.Message(message)
        sys.stdout.write(json.dumps([order.getField(11), arrived]) + "\n")
        sys.stdout.flush()
        self.count += 1
        report = fix.Message()
        report.getHeader().setField(35, "8")
        quantity = order.getField(38)
        fields = {
            37: f"V{self.count}", 17: f"X{time.time_ns()}-{self.count}", 150: "F", 39: "2",
            11: order.getField(11), 55: order.getField(55), 54: order.getField(54), 32: quantity,
            31: "100", 14: quantity, 151: "0", 6: "100", 60: "20200102-12:00:00.000", 75: "20200102",
        }  # fmt: skip
        for tag, value in fields.items():
            report.setField(fix.StringField(tag, value))
        fix.Session.sendToTarget(report, session)


def main() -> None:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    store = Path(sys.argv[1])
    store.mkdir(parents=True)
    dictionary = Path(sysconfig.get_path("data")) / "share" / "quickfix" / "FIX44.xml"
    path = store / "acceptor.cfg"
    path.write_text(CONFIGURATION.format(port=port, store=store, dictionary=dictionary))
    settings = fix.SessionSettings(str(path))
    acceptor = fix.SocketAcceptor(Application(), fix.FileStoreFactory(settings), settings)
    acceptor.start()
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    while True:
        time.sleep(3600)


if __name__ == "__main__":
    main()
