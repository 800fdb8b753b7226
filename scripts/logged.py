"""Run a long command with its output in a log file, and show that it is alive.

``logged.py MESSAGE LOG COMMAND...`` prints the message, then the elapsed seconds and the last line
of the log: as one changing line on a terminal, else a line every 15 seconds. If the command fails,
the end of its output is printed with the name of the log.

Standard library only: this runs before anything is installed.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

from status_line import StatusLine

POLL_S = 0.1
TAIL_LINES = 15


def last_lines(log: Path, count: int) -> list[str]:
    """Return the last lines of the log that are not empty."""
    lines = log.read_text(errors="replace").replace("\r", "\n").splitlines()
    return [line.strip() for line in lines if line.strip()][-count:]


def watch(process: subprocess.Popen[bytes], message: str, log: Path) -> None:
    """Print elapsed seconds and the last line of output until the process ends."""
    line = StatusLine()
    while process.poll() is None:
        time.sleep(POLL_S)
        line.show(f"{message}: {line.elapsed:4.0f} s  {''.join(last_lines(log, 1))}")
    line.end(f"{message}: {line.elapsed:.0f} s")


def main(arguments: list[str]) -> int:
    """Run the command and return its exit status."""
    message, log, command = arguments[0], Path(arguments[1]), arguments[2:]
    log.parent.mkdir(parents=True, exist_ok=True)
    print(message, file=sys.stderr, flush=True)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
        )
        try:
            watch(process, message, log)
        except KeyboardInterrupt:
            process.terminate()
            process.wait()
            return 130
    if process.returncode != 0:
        for line in last_lines(log, TAIL_LINES):
            print(f"  {line}", file=sys.stderr)
        print(f"error: {message} failed; the whole output is in {log}", file=sys.stderr)
    return process.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
