"""The pieces of a gateway process between a real database and a scripted venue."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import socket
import sysconfig
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

import nursery
from factories import AS_OF, open_session, order, set_quote, submit

HERE = Path(__file__).parent
DICTIONARY = Path(sysconfig.get_path("data")) / "share" / "quickfix" / "FIX44.xml"
DEADLINE_S = 30.0


class ScriptedVenue:
    """Drives scripted_acceptor.py."""

    def __init__(self, folder: Path, port: int) -> None:
        self._folder, self._port = folder, port
        self.count = 0
        self.start()

    def start(self) -> None:
        self.events: queue.Queue[dict[str, Any]] = queue.Queue()
        self.process = nursery.start(
            HERE / "scripted_acceptor.py",
            str(self._port),
            str(self._folder),
            str(DICTIONARY),
            piped=True,
        )
        threading.Thread(target=self._read, args=(self.process, self.events), daemon=True).start()
        self.expect("ready")

    @staticmethod
    def _read(process: nursery.Child, events: queue.Queue[dict[str, Any]]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            events.put(json.loads(line))
        process.stdout.close()
        events.put({"event": "exit"})

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()

    def command(self, do: str, **more: Any) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"do": do, **more}) + "\n")
        self.process.stdin.flush()

    def expect(self, event: str, **wanted: str) -> dict[str, Any]:
        """Return the next event; it must be of this kind and, if a message, have these fields.

        Fields are written as ``t35="D"``. Logons and logouts are skipped unless asked for.
        """
        while True:
            found = self.events.get(timeout=DEADLINE_S)
            if found["event"] != event and found["event"] in ("logon", "logout", "admin"):
                continue
            assert found["event"] == event, found
            values = {k: found.get("fields", {}).get(k.removeprefix("t")) for k in wanted}
            assert values == wanted, found
            return found

    def message(self, kind: str) -> dict[str, str]:
        """Return the fields of the next application message, which must be of this type."""
        fields: dict[str, str] = self.expect("message", t35=kind)["fields"]
        return fields

    def settle(self) -> str:
        """Wait until the gateway has dealt with everything sent so far; nothing else may come.

        Returns the token of the test request, which the gateway archives later.
        """
        token = uuid.uuid4().hex
        self.command("barrier", token=token)
        assert self.expect("barrier")["token"] == token
        return token

    def send(self, *fields: tuple[int, object]) -> None:
        self.command("send", fields=list(fields))

    def arm(self, pid: int, at: str) -> None:
        """Kill a process at the moment its next message of a type arrives.

        One that arrives before the trap is set is kept for `expect`; the caller kills anyway.
        """
        self.command("kill", pid=pid, at=at)
        before = []
        while (found := self.events.get(timeout=DEADLINE_S))["event"] != "armed":
            before.append(found)
        for event in [*before, *self._waiting()]:
            self.events.put(event)

    def _waiting(self) -> Iterator[dict[str, Any]]:
        with contextlib.suppress(queue.Empty):
            while True:
                yield self.events.get_nowait()

    def report(self, asked: dict[str, str], exec_type: str, status: str, **changes: object) -> str:
        """Send an ExecutionReport about an order as received; return its ExecID."""
        self.count += 1
        values: dict[int, object] = {
            35: "8",
            11: asked["11"],
            17: f"E{self.count}",
            37: f"V{asked['11']}",
            39: status,
            150: exec_type,
            54: asked["54"],
            55: asked["55"],
            14: 0,
            151: 100,
            6: 0,
            60: "20131008-14:30:01.000",
            75: "20131008",
        }
        values |= {int(k.removeprefix("t")): v for k, v in changes.items()}
        self.send(*((tag, value) for tag, value in values.items() if value is not None))
        return str(values[17])

    def fill(self, asked: dict[str, str], quantity: int, total: int, **changes: object) -> str:
        """Send a fill that brings the order to `total` of 100."""
        status = "2" if total == 100 else "1"
        values: dict[str, object] = {
            "t32": quantity,
            "t31": "100.005",
            "t14": total,
            "t151": 100 - total,
            "t6": "100.005",
        }
        return self.report(asked, "F", status, **(values | changes))

    def answer(self, asked: dict[str, str], status: str, **changes: object) -> None:
        """Answer an OrderStatusRequest."""
        self.report(asked, "I", status, **({"t790": asked.get("790")} | changes))

    def answer_unknown(self, asked: dict[str, str], **changes: object) -> None:
        """Answer that the order is not known."""
        self.answer(asked, "8", **({"t103": "5", "t58": "unknown order"} | changes))


class Proxy:
    """A line to the database that can be cut and mended, or fall silent for a while."""

    def __init__(self, target: str) -> None:
        info = psycopg.conninfo.conninfo_to_dict(target)
        self._host, self._port = str(info["host"]), int(info.get("port", 5432))
        self._server = socket.create_server(("127.0.0.1", 0))
        self._sockets: list[socket.socket] = []
        self._up = True
        self._flows = threading.Event()
        self._flows.set()
        self.url = psycopg.conninfo.make_conninfo(
            target, host="127.0.0.1", port=self._server.getsockname()[1]
        )
        threading.Thread(target=self._accept, daemon=True).start()

    def _connect(self) -> socket.socket:
        if self._host.startswith("/"):
            line = socket.socket(socket.AF_UNIX)
            line.connect(f"{self._host}/.s.PGSQL.{self._port}")
            return line
        return socket.create_connection((self._host, self._port))

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._server.accept()
            except OSError:
                return
            if not self._up:
                near.close()
                continue
            far = self._connect()
            self._sockets += [near, far]
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=self._pump, args=(source, sink), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                self._flows.wait()
                sink.sendall(data)
        for line in (source, sink):
            with contextlib.suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)

    def cut(self) -> None:
        self._up = False
        for line in self._sockets:
            with contextlib.suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)

    def mend(self) -> None:
        self._up = True

    def freeze(self) -> None:
        """Let nothing through, with every connection open: what the other end sees is silence."""
        self._flows.clear()

    def thaw(self) -> None:
        """Let through what has waited."""
        self._flows.set()

    def close(self) -> None:
        self._server.close()
        self.thaw()
        self.cut()
        for line in self._sockets:
            line.close()


class Gateway:
    """Drives gateway_process.py."""

    def __init__(self, url: str, home: Path, port: int) -> None:
        self._url, self._home, self._port = url, home, port
        self._processes: list[nursery.Child] = []
        self.patience_s, self.answer_timeout_s = 20.0, 20.0
        self.sessions = ["SIM"]

    def start(self) -> nursery.Child:
        environment = {
            **os.environ,
            "TSDB_TRADER_HOME": str(self._home),
            "TSDB_TRADER_FIX_PORT": str(self._port),
        }
        with (self._home / "gateway.log").open("ab") as log:
            process = nursery.start(
                HERE / "gateway_process.py",
                self._url,
                str(self.patience_s),
                str(self.answer_timeout_s),
                *self.sessions,
                environment=environment,
                stdout=log,
                stderr=log,
            )
        self._processes.append(process)
        return process

    @property
    def process(self) -> nursery.Child:
        return self._processes[-1]

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def log(self) -> str:
        return (self._home / "gateway.log").read_text()

    def close(self) -> None:
        for process in self._processes:
            if process.poll() is None:
                process.kill()
            process.wait()


class Desk:
    """The test's own connection: submits orders and looks at what became of them."""

    def __init__(self, conn: psycopg.Connection) -> None:
        self.conn = conn
        self.session = open_session(conn)
        set_quote(conn, self.session)
        # The scripted venue is asked order by order.
        self.configure(has_mass_status=False, has_mass_cancel=False, has_trade_capture=False)

    def configure(self, fix_session: str = "SIM", **changes: Any) -> None:
        """Change settings of a FIX session."""
        query = "select oms.configure_fix_session(%s, %s)"
        self.conn.execute(query, (fix_session, Jsonb(changes)))

    def submit(self, **changes: Any) -> int:
        order_id, status, reasons = submit(self.conn, order(self.session, **changes))[0]
        assert status == "pending_new", reasons
        return order_id

    def replace(self, order_id: int, **changes: str) -> None:
        query = "select oms.replace_order(%s, %s, %s, %s)"
        self.conn.execute(query, (order_id, Jsonb(changes), uuid.uuid4(), AS_OF))

    def cancel(self, order_id: int) -> None:
        self.conn.execute("select oms.cancel_order(%s, %s, %s)", (order_id, uuid.uuid4(), AS_OF))

    def one(self, query: str, *parameters: object) -> Any:
        """Return the only value, or the only row, of a query."""
        rows = self.conn.execute(query, parameters).fetchall()
        assert len(rows) == 1, rows
        return rows[0][0] if len(rows[0]) == 1 else rows[0]

    def status(self, order_id: int) -> str:
        return str(self.one("select status from oms.orders where order_id = %s", order_id))

    def filled(self, order_id: int) -> tuple[str, int, int]:
        """Return (status, filled quantity, number of executions)."""
        found = self.one(
            "select status, cumulative_quantity::integer, (select count(*)::integer "
            "from oms.executions e where e.order_id = o.order_id) "
            "from oms.orders o where order_id = %s",
            order_id,
        )
        return (found[0], found[1], found[2])

    def alerts(self) -> list[str]:
        return [r[0] for r in self.conn.execute("select kind from ops.alerts order by alert_id")]

    def sent(self, kind: str = "D") -> list[str]:
        """Return the archived outbound messages of a type, in order."""
        rows = self.conn.execute(
            "select raw from oms.fix_messages where direction = 'out' and msg_type = %s "
            "order by message_id",
            (kind,),
        )
        return [r[0] for r in rows]


def until(condition: Callable[[], object], what: str) -> None:
    """Look again and again until the condition holds."""
    deadline = time.monotonic() + DEADLINE_S
    pause = threading.Event()
    while not condition():
        assert time.monotonic() < deadline, f"never: {what}"
        pause.wait(0.02)
