"""An independent FIX initiator: JSON lines in, JSON lines out. Shares no code with the project.

Usage: client.py <folder> <port> <comp id> [target [begin string [logon fields as JSON [application
dictionary of FIX 5.0]]]]. Standard input takes objects of tags, the trading session as "336";
"header" holds extra header tags; {"quit": true} ends it, {"hang": true} cuts its connections.
Standard output gives {"event": "logon" | "logout"}, {"message": {tag: value}} for what came, and
{"invalid": ...} for a message that the dictionary of its version does not allow.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from pathlib import Path

import quickfix as fix

_print = threading.Lock()

CONFIG = """[DEFAULT]
ConnectionType=initiator
ReconnectInterval=1
HeartBtInt=5
NonStopSession=Y
ResetOnLogon=N
FileStorePath={folder}/store
UseDataDictionary=Y
{dictionary}
SocketConnectHost=127.0.0.1
SocketConnectPort={port}
LogoutTimeout=1
[SESSION]
BeginString={begin}
SenderCompID={sender}
TargetCompID={target}
"""
DICTIONARIES = {
    "FIX.4.2": "DataDictionary=FIX42.xml",
    "FIX.4.4": "DataDictionary=FIX44.xml",
    "FIXT.1.1": "DefaultApplVerID=FIX.5.0SP2\nTransportDataDictionary=FIXT11.xml\n"
    "AppDataDictionary={own}",
}


def say(**what: object) -> None:
    with _print:
        print(json.dumps(what), flush=True)


class Client(fix.Application):
    def __init__(self, logon: dict[str, str]) -> None:
        super().__init__()
        self.logon = logon

    def onCreate(self, session_id: fix.SessionID) -> None:
        self.session_id = fix.SessionID(
            session_id.getBeginString().getValue(),
            session_id.getSenderCompID().getValue(),
            session_id.getTargetCompID().getValue(),
        )

    def onLogon(self, session_id: fix.SessionID) -> None:
        say(event="logon")

    def onLogout(self, session_id: fix.SessionID) -> None:
        say(event="logout")

    def toAdmin(self, message: fix.Message, session_id: fix.SessionID) -> None:
        kind = message.getHeader().getField(35)
        if kind == "A":
            for tag, value in self.logon.items():
                message.setField(fix.StringField(int(tag), value))
        elif kind == "3":
            say(invalid=message.toString().replace("\x01", "|"))

    def fromAdmin(self, message: fix.Message, session_id: fix.SessionID) -> None:
        if message.getHeader().getField(35) in ("3", "5"):
            self.fromApp(message, session_id)

    def toApp(self, message: fix.Message, session_id: fix.SessionID) -> None:
        return

    def fromApp(self, message: fix.Message, session_id: fix.SessionID) -> None:
        parts = (part.split("=", 1) for part in message.toString().split("\x01") if part)
        say(message=dict(parts))


def build(command: dict[str, object]) -> fix.Message:
    message = fix.Message()
    header = dict(command.pop("header", {}))  # type: ignore[call-overload]
    message.getHeader().setField(fix.MsgType(str(command.pop("35"))))
    for tag, value in header.items():
        message.getHeader().setField(fix.StringField(int(tag), str(value)))
    session = command.pop("336", None)
    for tag, value in command.items():
        message.setField(fix.StringField(int(tag), str(value)))
    if session is not None:
        group = fix.Group(386, 336)
        group.setField(fix.TradingSessionID(str(session)))
        message.addGroup(group)
    return message


def main() -> None:
    folder, port, sender, *rest = sys.argv[1:]
    target, begin, logon, own = [*rest, *["SIM", "FIX.4.4", "{}", "FIX50SP2.xml"][len(rest) :]]
    place = Path(sys.prefix) / "share" / "quickfix"
    lines = (line.partition("=") for line in DICTIONARIES[begin].format(own=own).splitlines())
    dictionary = "\n".join(
        # A path of its own stays what it is.
        f"{key}={value if key.startswith('Default') else place / value}"
        for key, _, value in lines
    )
    path = Path(folder) / "client.cfg"
    path.write_text(
        CONFIG.format(
            folder=folder,
            port=port,
            sender=sender,
            target=target,
            begin=begin,
            dictionary=dictionary,
        )
    )
    settings = fix.SessionSettings(str(path))
    client = Client(json.loads(logon))
    store = fix.FileStoreFactory(settings)
    initiator = fix.SocketInitiator(client, store, settings)
    initiator.start()
    for line in sys.stdin:
        command = json.loads(line)
        if command.get("quit"):
            break
        fix.Session.sendToTarget(build(command), client.session_id)
    os._exit(0)


main()
