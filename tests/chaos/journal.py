"""What a client asked for and what it was told, on disk before and after each request.

A client that was killed knows from it which requests have no answer, and sends them again under
the same ids. At the end it is what the database is held to.
"""

from __future__ import annotations

import json
import os
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass
class Request:
    """One request and, once it is known, its answer."""

    request_id: str
    call: str
    argument: Any
    order_id: int | None = None
    rows: list[tuple[int, str, list[str]]] | None = None
    refused: str | None = None
    tries: int = 0

    @property
    def answered(self) -> bool:
        return self.rows is not None or self.refused is not None


@dataclass
class Journal:
    """The requests of one client, in order."""

    path: Path
    requests: dict[str, Request] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.path.exists():
            for line in self.path.read_text().splitlines():
                self._read(line)
        self._file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def _read(self, line: str) -> None:
        try:
            row = json.loads(line)
        except ValueError:
            return  # cut off by a kill: what it says was not done yet
        if "call" in row:
            self.requests[row["id"]] = Request(
                row["id"], row["call"], row["argument"], row["order_id"]
            )
            return
        request = self.requests[row["id"]]
        request.rows = None if row["rows"] is None else [tuple(r) for r in row["rows"]]
        request.refused = row["refused"]
        request.tries = row["tries"]

    def ask(self, call: str, argument: Any, order_id: int | None = None) -> Request:
        """Note a request that is about to be made."""
        request = Request(str(uuid.uuid4()), call, argument, order_id)
        self.requests[request.request_id] = request
        self._write(
            {"id": request.request_id, "call": call, "argument": argument, "order_id": order_id}
        )
        return request

    def answer(self, request: Request) -> None:
        """Note what came of it."""
        self._write(
            {
                "id": request.request_id,
                "rows": request.rows,
                "refused": request.refused,
                "tries": request.tries,
            }
        )

    def open(self) -> list[Request]:
        """Return the requests without an answer."""
        return [r for r in self.requests.values() if not r.answered]

    def _write(self, row: dict[str, Any]) -> None:
        # A line cut off by a kill must not swallow the next one.
        os.write(self._file, b"\n" + json.dumps(row).encode() + b"\n")
