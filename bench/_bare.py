"""The limits: what the same machine does when nothing but the unavoidable is done."""

from __future__ import annotations

import sysconfig
import threading
import time
from pathlib import Path
from typing import Any

import psycopg
import quickfix as fix

CONFIGURATION = """
[DEFAULT]
ConnectionType=initiator
SocketConnectHost=127.0.0.1
SocketConnectPort={port}
SocketNodelay=Y
ReconnectInterval=1
HeartBtInt=30
StartTime=00:00:00
EndTime=00:00:00
FileStorePath={store}
UseDataDictionary=Y
DataDictionary={dictionary}
[SESSION]
BeginString=FIX.4.4
SenderCompID=TSDB
TargetCompID=SIM
"""


class Initiator(fix.Application):
    """A bare initiator that counts the reports it gets."""

    def __init__(self, port: int, store: Path) -> None:
        super().__init__()
        self.logged_on = threading.Event()
        self.reports = threading.Semaphore(0)
        store.mkdir(parents=True)
        dictionary = Path(sysconfig.get_path("data")) / "share" / "quickfix" / "FIX44.xml"
        path = store / "initiator.cfg"
        path.write_text(CONFIGURATION.format(port=port, store=store, dictionary=dictionary))
        settings = fix.SessionSettings(str(path))
        self._keep = (settings, fix.FileStoreFactory(settings))
        self.session = fix.SessionID("FIX.4.4", "TSDB", "SIM")
        self.initiator = fix.SocketInitiator(self, self._keep[1], settings)
        self.initiator.start()
        if not self.logged_on.wait(30):
            raise SystemExit("the bare QuickFIX session did not log on")

    def onCreate(self, session: Any) -> None: ...
    def onLogout(self, session: Any) -> None: ...
    def toAdmin(self, message: Any, session: Any) -> None: ...
    def fromAdmin(self, message: Any, session: Any) -> None: ...
    def toApp(self, message: Any, session: Any) -> None: ...

    def onLogon(self, session: Any) -> None:
        self.logged_on.set()

    def fromApp(self, message: Any, session: Any) -> None:
        self.reports.release()

    def send(self, number: int) -> None:
        """Send one order."""
        order = fix.Message()
        order.getHeader().setField(35, "D")
        fields = {
            11: f"BARE-{number}", 55: "AAA", 54: "1", 38: "100", 40: "2", 44: "100", 59: "0",
            60: "20200102-12:00:00.000",
        }  # fmt: skip
        for tag, value in fields.items():
            order.setField(fix.StringField(tag, value))
        fix.Session.sendToTarget(order, self.session)


def commits(conn: psycopg.Connection, count: int) -> list[float]:
    """Return the seconds that each of `count` one-row commits took."""
    conn.execute("create table if not exists public._bench (row bigint)")
    took = []
    for row in range(count):
        began = time.perf_counter()
        conn.execute("insert into public._bench values (%s)", (row,))
        took.append(time.perf_counter() - began)
    return took


def notify_round_trips(url: str, count: int) -> list[float]:
    """Return the seconds from notifying to the other side's answer arriving, each."""
    with (
        psycopg.connect(url, autocommit=True) as here,
        psycopg.connect(url, autocommit=True) as there,
    ):
        here.execute("listen bench_pong")
        there.execute("listen bench_ping")

        def answer() -> None:
            for _ in range(count):
                for _ in there.notifies(stop_after=1):
                    pass
                there.execute("notify bench_pong")

        thread = threading.Thread(target=answer)
        thread.start()
        took = []
        for _ in range(count):
            began = time.perf_counter()
            here.execute("notify bench_ping")
            for _ in here.notifies(stop_after=1):
                pass
            took.append(time.perf_counter() - began)
        thread.join()
    return took
