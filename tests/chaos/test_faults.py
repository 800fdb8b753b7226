"""Sessions under random faults, our books compared with the venues' at the end.

`make chaos SEED=n FAULTS=n` runs the long form; docs/chaos.md says what it does.
"""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from tempfile import mkdtemp

import psycopg
import pytest

from chaos import books
from chaos.rig import Rig, new_seed
from chaos.schedule import Fault, draw

_SHORT_SEED = 7
_BREATHE = 12


@pytest.fixture
def home() -> Iterator[Path]:
    """Return a folder that the server's user can enter; it stays after a failure."""
    if os.environ.get("TSDB_TRADER_DATABASE_URL"):
        pytest.skip("needs a private server to kill: unset TSDB_TRADER_DATABASE_URL")
    folder = Path(mkdtemp(prefix="chaos-"))
    folder.chmod(0o755)
    yield folder
    if "failed" not in os.listdir(folder):
        shutil.rmtree(folder, ignore_errors=True)


def storm(home: Path, seed: int, count: int, *, brisk: bool = False) -> None:
    """Run a session through `count` faults and compare every book."""
    schedule = draw(seed, count, brisk=brisk)
    began = time.monotonic()
    rig = Rig(home, seed)
    hurt: list[Fault] = []
    try:
        rig.open()
        for number, fault in enumerate(schedule, 1):
            hurt.append(fault)
            _say(f"{time.monotonic() - began:7.1f} {number}/{count} {fault}")
            rig.hurt(fault)
            if number % _BREATHE == 0:
                rig.await_gates()
                rig.await_progress()
        _say(f"{time.monotonic() - began:7.1f} calm")
        rig.calm()
        for name, ends in rig.stop():
            _say(f"{name} ended: {dict(ends)}")
        with psycopg.connect(rig.url, autocommit=True, options="-c TimeZone=UTC") as conn:
            journal = home / "journal.jsonl"
            found = books.differences(conn, rig.session_id, journal, rig.losses)
            _say(f"{books.figures(conn, journal)}")
        _say(f"{rig.done.total()} faults: {dict(sorted(rig.done.items()))}")
        for what, waits in rig.waits.items():
            _say(
                f"until {what}: {len(waits)} times, median {median(waits):.1f} s, longest {max(waits):.1f} s"
            )
        _say(f"a person decided {rig.person.decisions} breaks")
        _say(f"not possible here: {rig.skipped}, {time.monotonic() - began:.0f} s")
        assert found == []
    except BaseException as failure:
        (home / "failed").write_text("\n".join(map(str, hurt)))
        lines = "\n".join(str(fault) for fault in hurt[-2 * _BREATHE :])
        _say(
            f"{failure}\nseed {seed}, {count} faults, the last of them:\n{lines}\nlogs and journal: {home}\n"
            f"again: make chaos SEED={seed} FAULTS={count}"
        )
        raise
    finally:
        rig.close()


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_fifteen_faults_lose_repeat_and_leave_nothing(home: Path) -> None:
    storm(home, _SHORT_SEED, 15, brisk=True)


@pytest.mark.long
@pytest.mark.timeout(5400)
def test_many_faults_lose_repeat_and_leave_nothing(home: Path) -> None:
    storm(home, new_seed(), int(os.environ.get("TSDB_TRADER_CHAOS_FAULTS") or 200))
