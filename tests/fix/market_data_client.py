"""An independent FIX initiator for market data: JSON lines in, JSON lines out.

Shares no code with the project. Usage: market_data_client.py <folder> <port> <comp id> [begin
string]. Standard input takes {"type": MsgType, "body": [[tag, value]], "groups": [[count tag, [[[tag, value]]]]]},
{"logout": true}, {"logon": true} and {"quit": true}. Standard output gives {"event": "logon" |
"logout"}, {"message": [[tag, value]]}, in the order of the text, and {"refused": text} for what it
had to refuse. Incoming messages are checked against the dictionary that comes with quickfix; only
RptSeq (83) is added to that of FIX 4.4.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from pathlib import Path
from xml.etree import ElementTree

import quickfix as fix

_print = threading.Lock()

# A test may stop it for as long as it takes to show it too much: the interval is a long one.
CONFIG = """[DEFAULT]
ConnectionType=initiator
ReconnectInterval=1
HeartBtInt=60
NonStopSession=Y
ResetOnLogon=Y
FileStorePath={folder}/store
UseDataDictionary=Y
{dictionary}
SocketConnectHost=127.0.0.1
SocketConnectPort={port}
[SESSION]
BeginString={begin}
SenderCompID={sender}
TargetCompID=SIM
"""


def say(**what: object) -> None:
    with _print:
        print(json.dumps(what), flush=True)


class Client(fix.Application):
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
        if message.getHeader().getField(35) == "3":
            say(refused=message.toString())

    def fromAdmin(self, message: fix.Message, session_id: fix.SessionID) -> None:
        if message.getHeader().getField(35) == "3":
            self.fromApp(message, session_id)

    def toApp(self, message: fix.Message, session_id: fix.SessionID) -> None:
        if message.getHeader().getField(35) == "j":
            say(refused=message.toString())

    def fromApp(self, message: fix.Message, session_id: fix.SessionID) -> None:
        say(message=[part.split("=", 1) for part in message.toString().split("\x01") if part])


def build(command: dict[str, object]) -> fix.Message:
    message = fix.Message()
    message.getHeader().setField(fix.MsgType(str(command["type"])))
    for tag, value in command["body"]:  # type: ignore[attr-defined]
        message.setField(fix.StringField(int(tag), str(value)))
    for count, entries in command.get("groups", []):  # type: ignore[attr-defined]
        for entry in entries:
            group = fix.Group(int(count), int(entry[0][0]))
            for tag, value in entry:
                group.setField(fix.StringField(int(tag), str(value)))
            message.addGroup(group)
    return message


def dictionary(folder: Path, begin: str) -> str:
    """Return the settings that name the dictionaries."""
    place = Path(sys.prefix) / "share" / "quickfix"
    if begin == "FIX.4.4":
        return f"DataDictionary={numbered(folder, place / 'FIX44.xml')}"
    if begin == "FIX.4.2":
        return f"DataDictionary={place / 'FIX42.xml'}"
    return (
        f"DefaultApplVerID=FIX.5.0SP2\nTransportDataDictionary={place / 'FIXT11.xml'}\n"
        f"AppDataDictionary={place / 'FIX50SP2.xml'}"
    )


def numbered(folder: Path, shipped: Path) -> Path:
    tree = ElementTree.parse(shipped)  # noqa: S314
    places = ("messages/message[@msgtype='W']", "components/component[@name='MDIncGrp']/group")
    for place in places:
        found = tree.find(place)
        assert found is not None
        ElementTree.SubElement(found, "field", {"name": "RptSeq", "required": "N"})
    path = folder / "dictionary.xml"
    tree.write(path)
    return path


def main() -> None:
    folder, port, sender = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    begin = sys.argv[4] if len(sys.argv) > 4 else "FIX.4.4"
    found = dictionary(folder, begin)
    path = folder / "client.cfg"
    path.write_text(
        CONFIG.format(folder=folder, port=port, sender=sender, begin=begin, dictionary=found)
    )
    settings = fix.SessionSettings(str(path))
    client = Client()
    store = fix.FileStoreFactory(settings)
    initiator = fix.SocketInitiator(client, store, settings)
    initiator.start()
    for line in sys.stdin:
        command = json.loads(line)
        session = fix.Session.lookupSession(client.session_id)
        if command.get("quit"):
            break
        if command.get("logout"):
            session.logout()
        elif command.get("logon"):
            session.logon()
        else:
            fix.Session.sendToTarget(build(command), client.session_id)
    os._exit(0)


main()
