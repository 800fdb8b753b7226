"""Several FIX engines in one process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

_STRICT = "glibc.malloc.tcache_count=0:glibc.malloc.mxfast=0"


@pytest.mark.slow
def test_several_engines_in_one_process_are_made_without_a_crash(tmp_path: Path) -> None:
    script = Path(__file__).with_name("several_engines.py")
    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path)],
        # Freed memory goes back at once, so that its use shows.
        env={**os.environ, "GLIBC_TUNABLES": _STRICT},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout.splitlines()[-1:]) == (0, ["4 engines"]), done.stderr
