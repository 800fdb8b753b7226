"""The gateway's engine against a strict venue of each version, over the wire."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fix_dialects import ALL, ORDER, name_of, pairs
from tsdb_trader.fix import codec, codec_reports
from tsdb_trader.fix.session_settings import dictionary
from tsdb_trader.fix.versions import FIX42, Version

HERE = Path(__file__).parent
SECRET = "s3cret"
# Codes that no dictionary of any version has, or none of this version.
ODD = [
    (37, "V1"), (17, "E1"), (150, "0"), (39, "0"), (151, "100"), (14, "0"), (6, "0"),
    (103, "4711"), (18, "?"), (21, "9"), (336, str(ORDER.session_id)),
]  # fmt: skip


def events_of(process: subprocess.Popen[str]) -> list[dict[str, Any]]:
    """Wait for the end of a process, which must be good, and return what it told."""
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 0, out
    return [json.loads(line) for line in out.splitlines() if line.startswith("{")]


@pytest.fixture
def started() -> Iterator[Any]:
    """Return a function that starts a Python file; whatever it starts does not outlive the test."""
    processes: list[subprocess.Popen[str]] = []

    def start(file: str, *arguments: str, log: Path) -> subprocess.Popen[str]:
        path = os.pathsep.join([str(HERE.parent), *sys.path])
        with log.open("w") as errors:
            process = subprocess.Popen(
                [sys.executable, str(HERE / file), *arguments],
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env={**os.environ, "PYTHONPATH": path},
            )
        processes.append(process)
        return process

    yield start
    for process in processes:
        process.kill()
        process.wait()


def dictionaries(version: Version) -> str:
    """Return the venue's settings: the dictionaries as they come with QuickFIX."""
    if version.transport_dictionary is None:
        return f"DataDictionary={dictionary(version.dictionary)}"
    return (
        f"DefaultApplVerID={version.appl_ver_id}\n"
        f"TransportDataDictionary={dictionary(version.transport_dictionary)}\n"
        f"AppDataDictionary={dictionary(version.dictionary)}"
    )


@pytest.mark.parametrize("version", ALL, ids=name_of)
def test_session_of_each_version_trades_and_keeps_no_password(
    version: Version, started: Any, tmp_path: Path
) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    odd = json.dumps([*ODD, *([(20, "0")] if version is FIX42 else [])])
    begin, user = version.begin_string, "trader" if version.user_name else ""
    venue = started(
        "dialect_acceptor.py",
        *(begin, port, str(tmp_path / "venue"), dictionaries(version), odd),
        log=tmp_path / "venue.log",
    )
    store, log = tmp_path / "store", tmp_path / "session.log"
    ours = started("dialect_session.py", version.name, port, str(store), user, log=log)
    told, theirs = events_of(ours), events_of(venue)

    # The venue, which checks everything, took the logon, the order and the question.
    logon = next(dict(pairs(e["raw"])) for e in theirs if e["event"] == "admin")
    assert logon[35] == "A"
    assert logon.get(1137) == version.appl_ver_id
    assert (logon.get(553) or "", logon.get(554) or logon[96]) == (user, SECRET)
    taken = [dict(pairs(e["raw"])) for e in theirs if e["event"] == "message"]
    assert [m[35] for m in taken] == ["D", "AF" if version.requests else "H"]
    assert [m[8] for m in taken] == [begin, begin]
    assert [m[35] for m in taken] == [
        dict(pairs(e["raw"]))[35] for e in told if e["event"] == "sent"
    ]

    # Our side took a report with codes that are in no dictionary.
    reports = [e["raw"] for e in told if e["event"] == "message"]
    assert len(reports) == 1
    report = codec_reports.decode_report(codec.parse(reports[0]))
    assert (report.cl_ord_id, report.exec_type) == (ORDER.cl_ord_id, "new")
    assert (report.ord_rej_reason, report.session_id) == ("4711", str(ORDER.session_id))

    # The archive has both ways of the session, the password nowhere.
    archive = [(e["direction"], dict(pairs(e["raw"]))) for e in told if e["event"] == "archived"]
    kinds = {(direction, fields[35]) for direction, fields in archive}
    assert {("out", "A"), ("in", "A"), ("in", "5")} <= kinds
    masked = next(
        fields for direction, fields in archive if (direction, fields[35]) == ("out", "A")
    )
    assert (masked.get(554) or masked[96]) == "***"
    assert "we know you, ***" in [fields.get(58) for _, fields in archive]
    assert SECRET not in json.dumps(told)
    assert SECRET not in log.read_text()
    assert log.read_text()
    kept = [path for path in store.iterdir() if SECRET.encode() in path.read_bytes()]
    assert kept == []
    assert store.stat().st_mode & 0o077 == 0
