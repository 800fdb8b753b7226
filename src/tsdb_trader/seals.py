"""Seals of the order log outside the database: a file per installation, one JSON object per line.

Whoever can rewrite the whole database cannot rewrite this file, if it lies where he cannot write;
ship it off the machine for that (any log shipper will do).
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from datetime import datetime
from pathlib import Path

from tsdb_trader.api import audit
from tsdb_trader.api.audit import Seal
from tsdb_trader.api.venue import read_prefix
from tsdb_trader.db import Connection
from tsdb_trader.errors import InputError


def file_of(conn: Connection, folder: Path) -> Path:
    """Return the file of the database's seals; another installation has another one."""
    return folder / f"{read_prefix(conn)}.jsonl"


def read(path: Path) -> list[Seal]:
    """Return the seals of a file, none if it is not there.

    A last line without an end is a write that a crash cut short; the next `keep` repeats it.

    Raises
    ------
    InputError
        The file cannot be read, or a line is no seal.
    """
    try:
        text = path.read_text()
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read ({error})") from None
    found = []
    for number, line in enumerate(text.splitlines(keepends=True), start=1):
        if not line.endswith("\n"):
            break
        try:
            fields = json.loads(line)
            seal = Seal(
                int(fields["seal_no"]),
                datetime.fromisoformat(fields["sealed_at"]),
                int(fields["heads"]),
                bytes.fromhex(fields["digest"]).hex(),
            )
        except (ValueError, TypeError, KeyError, AttributeError):
            raise InputError(f"{path}: line {number} is no seal") from None
        found.append(seal)
    return found


def keep(conn: Connection, folder: Path) -> int:
    """Seal the log, and append every seal that the file lacks; return how many.

    Raises
    ------
    InputError
        The file is damaged, or cannot be written.
    """
    audit.seal_log(conn)
    path = file_of(conn, folder)
    known = read(path)
    missing = audit.seals_after(conn, known[-1].seal_no if known else 0)
    if not missing:
        return 0
    lines = "".join(
        json.dumps(asdict(seal) | {"sealed_at": seal.sealed_at.isoformat()}) + "\n"
        for seal in missing
    )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with path.open("r+b" if path.exists() else "wb") as file:
            file.truncate(_whole(path))
            file.seek(0, os.SEEK_END)
            file.write(lines.encode())
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror})") from None
    return len(missing)


def _whole(path: Path) -> int:
    """Return where the last whole line ends."""
    return path.read_bytes().rfind(b"\n") + 1
