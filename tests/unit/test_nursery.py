"""The processes that tests start: as real as those of `subprocess`."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

import nursery


def script(folder: Path, text: str) -> Path:
    path = folder / "script.py"
    path.write_text(text)
    return path


def test_child_has_its_own_arguments_environment_and_main(tmp_path: Path) -> None:
    text = (
        "import os, sys\n"
        "from beside import VALUE\n"
        "print(os.getpid(), __name__, sys.argv[1:], os.environ['ONLY'], 'HOME' in os.environ, VALUE)\n"
    )
    (tmp_path / "beside.py").write_text("VALUE = 5")
    with (tmp_path / "out").open("wb") as out:
        child = nursery.start(
            script(tmp_path, text), "a", "b c", environment={"ONLY": "this"}, stdout=out
        )
    assert child.wait(30) == 0
    said = (tmp_path / "out").read_text()
    assert said == f"{child.pid} __main__ ['a', 'b c'] this False 5\n"
    assert child.pid != os.getpid()


def test_child_is_written_to_and_read_from(tmp_path: Path) -> None:
    text = "import sys\nfor line in sys.stdin: print(line.strip() * 2, flush=True)\n"
    child = nursery.start(script(tmp_path, text), piped=True)
    assert child.stdin is not None
    assert child.stdout is not None
    with child.stdin, child.stdout:
        child.stdin.write("ab\n")
        child.stdin.flush()
        assert child.stdout.readline() == "abab\n"
        assert child.poll() is None
        child.stdin.close()
        assert child.stdout.read() == ""
    assert child.wait(30) == 0


@pytest.mark.parametrize(
    ("text", "status", "said"),
    [
        ("pass", 0, ""),
        ("raise SystemExit(7)", 7, ""),
        ("import os; os._exit(9)", 9, ""),
        ("raise SystemExit('no')", 1, ""),
        ("raise ValueError('odd')", 1, "ValueError: odd"),
    ],
)
def test_child_exit_status_and_traceback_are_its_own(
    tmp_path: Path, text: str, status: int, said: str
) -> None:
    with (tmp_path / "err").open("wb") as err:
        child = nursery.start(script(tmp_path, text), stderr=err)
    assert child.wait(30) == status
    assert child.returncode == status
    assert said in (tmp_path / "err").read_text()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_child_killed_has_the_signal_as_its_status(tmp_path: Path, number: int) -> None:
    text = "import signal\nprint('up', flush=True)\nsignal.pause()\n"
    child = nursery.start(script(tmp_path, text), piped=True)
    assert child.stdin is not None
    assert child.stdout is not None
    with child.stdin, child.stdout:
        assert child.stdout.readline() == "up\n"
        with pytest.raises(subprocess.TimeoutExpired):
            child.wait(0.01)
        child.send_signal(number)
        assert child.wait(30) == -number
    child.kill()
    assert child.poll() == child.returncode


def test_children_do_not_hold_each_others_files(tmp_path: Path) -> None:
    text = "import sys\nsys.stdin.read()\n"
    first = nursery.start(script(tmp_path, text), piped=True)
    second = nursery.start(script(tmp_path, text), piped=True)
    for child in (first, second):
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdin.close()
        assert child.wait(30) == 0
        child.stdout.close()
