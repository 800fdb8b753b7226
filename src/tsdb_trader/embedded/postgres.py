"""One PostgreSQL cluster on this machine: find the programs, size it, create, start and stop it."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tsdb_trader.embedded.debian import MAJORS, check_disk
from tsdb_trader.embedded.machine import MB, Account, fixed_settings, machine_memory, sizing
from tsdb_trader.errors import EmbeddedServerError

_DATA_BYTES = 512 * MB
_START_SECONDS = 600
_STOP_SECONDS = 120
_ORPHAN_SECONDS = 20


@dataclass(frozen=True)
class Installation:
    """PostgreSQL's programs, with a TimescaleDB beside them."""

    bindir: Path
    sharedir: Path
    major: int
    locales: Path | None = None
    """Locale files that fit the C library of a private prefix."""

    @property
    def timescaledb(self) -> str:
        """Version of the TimescaleDB that comes with it."""
        control = (self.sharedir / "extension/timescaledb.control").read_text()
        match = re.search(r"default_version\s*=\s*'([^']+)'", control)
        return match[1] if match else ""


def inspect(bindir: Path) -> Installation | None:
    """Return the installation in `bindir` if it is usable: 15 to 18, with TimescaleDB."""
    if not (bindir / "postgres").is_file():
        return None
    if bindir.parent.parent.name == "postgresql":  # Debian's layout needs no process to be read
        major = bindir.parent.name
        sharedir = bindir.parents[3] / "share/postgresql" / major
    else:
        sharedir = Path(_ask(bindir / "pg_config", "--sharedir"))
        match = re.search(r"\d+", _ask(bindir / "pg_config", "--version"))
        major = match[0] if match else ""
    usable = major.isdigit() and int(major) in MAJORS
    if not usable or not (sharedir / "extension/timescaledb.control").is_file():
        return None
    return Installation(bindir, sharedir, int(major))


def _ask(program: Path, option: str) -> str:
    try:
        done = subprocess.run([str(program), option], capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return done.stdout.strip()


def in_prefix(prefix: Path) -> list[Installation]:
    """Return the usable installations below `prefix`, newest first."""
    folders = [*prefix.glob("usr/lib/postgresql/*/bin"), *prefix.glob("lib/postgresql/*/bin")]
    found = [i for i in map(inspect, [*folders, prefix / "bin"]) if i is not None]
    return sorted(found, key=lambda i: -i.major)


def on_machine() -> list[Installation]:
    """Return the usable installations of this machine, newest first."""
    found = in_prefix(Path("/"))
    if program := shutil.which("pg_config"):
        other = inspect(Path(_ask(Path(program), "--bindir")))
        found += [other] if other and other not in found else []
    return sorted(found, key=lambda i: -i.major)


@dataclass(frozen=True)
class Postmaster:
    """What a running server wrote to its ``postmaster.pid``."""

    pid: int
    port: int
    socket_dir: str
    ready: bool


def read_postmaster(data_dir: Path) -> Postmaster | None:
    """Return the server that runs on `data_dir`, or None (no file, or a stale one)."""
    try:
        lines = (data_dir / "postmaster.pid").read_text().splitlines()
        pid = int(lines[0])
    except (FileNotFoundError, NotADirectoryError, IndexError, ValueError):
        return None
    if not _is_postmaster(pid, data_dir):
        return None
    lines += [""] * (8 - len(lines))
    port = int(lines[3]) if lines[3].strip().isdigit() else 0
    return Postmaster(pid, port, lines[4].strip(), lines[7].strip() == "ready")


def _is_postmaster(pid: int, data_dir: Path) -> bool:
    """Tell a live server from a process that got its number since."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    try:
        return Path(f"/proc/{pid}/cwd").resolve(strict=True) == data_dir.resolve()
    except FileNotFoundError:
        return False
    except PermissionError:
        return True


def _processes_in(data_dir: Path) -> list[int]:
    """Return the server processes that work in `data_dir`: each of them changes to it."""
    place, found = str(data_dir.resolve()), []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                if os.readlink(entry / "cwd") == place:
                    found += [int(entry.name)] * (entry / "comm").read_text().startswith("postgres")
    return found


def wait_ready(data_dir: Path) -> Postmaster:
    """Wait until the server on `data_dir` accepts connections; crash recovery takes a while."""
    deadline = time.monotonic() + _START_SECONDS
    while (found := read_postmaster(data_dir)) is not None and not found.ready:
        if time.monotonic() > deadline:
            raise EmbeddedServerError(f"the server is still starting: see {data_dir}/log")
        time.sleep(0.05)
    if found is None:
        raise EmbeddedServerError(f"the server ended at once: see {data_dir}/log")
    return found


def stop_postmaster(data_dir: Path, immediate: bool = False) -> bool:
    """Stop the server on `data_dir`; False if there is none.

    Parameters
    ----------
    immediate
        End at once, as in a crash: the next start recovers from the log.
    """
    found = read_postmaster(data_dir)
    if found is None:
        return False
    os.kill(found.pid, signal.SIGQUIT if immediate else signal.SIGINT)
    deadline = time.monotonic() + _STOP_SECONDS
    while read_postmaster(data_dir) is not None or _processes_in(data_dir):
        if time.monotonic() > deadline:
            raise EmbeddedServerError(
                f"the server (process {found.pid}) does not stop: see {data_dir}/log"
            )
        time.sleep(0.02)
    return True


@dataclass(frozen=True)
class Cluster:
    """A data directory with the programs and the user that run it."""

    installation: Installation
    account: Account
    data_dir: Path
    socket_dir: Path | None

    @property
    def exists(self) -> bool:
        """Whether the data directory is a finished one."""
        return (self.data_dir / "PG_VERSION").is_file()

    def _program(self, name: str, *args: str) -> subprocess.CompletedProcess[str]:
        locales = self.installation.locales
        environment = {"LOCPATH": str(locales)} if locales else {}
        return self.account.run(str(self.installation.bindir / name), *args, **environment)

    def create(self, password: str) -> None:
        """Create the data directory with SCRAM for every connection and data checksums."""
        check_disk(self.data_dir, _DATA_BYTES)
        if not Path("/usr/share/zoneinfo/UTC").exists():
            raise EmbeddedServerError("the time zone files are missing: install tzdata")
        new = self.data_dir.with_name(self.data_dir.name + ".new")
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(mode=0o700)
        self.account.own(new)
        secret = new.with_name("superuser-password")
        secret.unlink(missing_ok=True)
        with os.fdopen(os.open(secret, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(password + "\n")
        self.account.own(secret)
        try:
            # Collation C: the order of an index must not depend on the C library's version.
            done = self._program(
                "initdb", "--pgdata", str(new), "--username", "postgres",
                "--auth", "scram-sha-256", "--pwfile", str(secret), "--data-checksums",
                "--encoding", "UTF8", "--locale", "C.UTF-8", "--lc-collate", "C",
                "--lc-messages", "C",
            )  # fmt: skip
        finally:
            secret.unlink(missing_ok=True)
        if done.returncode:
            raise EmbeddedServerError(explain_log(done.stderr, self.data_dir))
        with (new / "postgresql.conf").open("a") as conf:
            conf.write("\ninclude_if_exists 'tsdb_trader.conf'\n")
        new.rename(self.data_dir)

    def check_version(self) -> None:
        """Raise if another major version made the data."""
        made_by = (self.data_dir / "PG_VERSION").read_text().strip()
        if made_by != str(self.installation.major):
            raise EmbeddedServerError(
                f"{self.data_dir} was made by PostgreSQL {made_by}, the server found is "
                f"{self.installation.major}: set TSDB_TRADER_PG_PREFIX to a PostgreSQL {made_by}, "
                "or lose the data with: tsdb-trader db reset --purge --yes"
            )

    def configure(self, port: int, license_: str | None) -> None:
        """Write the server's settings, sized for the machine as it is now."""
        free = shutil.disk_usage(self.data_dir).free
        settings = {
            **fixed_settings(),
            **sizing(machine_memory(), os.cpu_count() or 1, free),
            "port": str(port),
            "unix_socket_directories": str(self.socket_dir or ""),
        }
        if license_:
            settings["timescaledb.license"] = license_
        lines = (f"{k} = '{v.replace(chr(39), chr(39) * 2)}'\n" for k, v in settings.items())
        file = self.data_dir / "tsdb_trader.conf"
        text = "# Written at every start; put changes into postgresql.auto.conf (alter system).\n"
        file.write_text(text + "".join(lines))
        self.account.own(file)

    def start(self) -> None:
        """Start the server in the background and wait until it accepts connections."""
        check_disk(self.data_dir, 64 * MB)
        self._clear_remains()
        (self.data_dir / "startup.log").unlink(missing_ok=True)
        marks = {p: p.stat().st_size for p in self._logs() if p.exists()}
        done = self._program("pg_ctl", "start", "-w", "-s", "-t", str(_START_SECONDS),
                             "-D", str(self.data_dir),
                             "-l", str(self.data_dir / "startup.log"))  # fmt: skip
        if done.returncode:
            text = self._log_since(marks) or done.stderr
            raise EmbeddedServerError(explain_log(text, self.data_dir))

    def _clear_remains(self) -> None:
        """Remove what a killed server left, once its last process has noticed and gone."""
        deadline = time.monotonic() + _ORPHAN_SECONDS
        while left := _processes_in(self.data_dir):
            if time.monotonic() > deadline:
                raise EmbeddedServerError(
                    f"processes of an earlier server still use {self.data_dir}: "
                    f"kill {' '.join(map(str, left))}"
                )
            time.sleep(0.05)
        # Its number may belong to another process by now, which PostgreSQL takes for a server.
        (self.data_dir / "postmaster.pid").unlink(missing_ok=True)
        if self.socket_dir is not None:
            for remains in self.socket_dir.glob(".s.PGSQL.*"):
                remains.unlink()

    def _logs(self) -> Iterator[Path]:
        yield self.data_dir / "startup.log"
        yield from sorted((self.data_dir / "log").glob("*.log"))

    def _log_since(self, marks: dict[Path, int]) -> str:
        text = ""
        for path in self._logs():
            if path.exists():
                with path.open(errors="replace") as file:
                    file.seek(marks.get(path, 0))
                    text += file.read()
        return text


def explain_log(text: str, data_dir: Path) -> str:
    """Turn the server's last words into one line that says what to do."""
    fatal = [ln for ln in text.splitlines() if re.search(r"FATAL|PANIC|error:|ERROR", ln)]
    detail = re.sub(r"^.*?(FATAL|PANIC|ERROR|error):\s*", "", fatal[0]) if fatal else text.strip()
    detail = detail.splitlines()[-1] if detail else "it left no message"
    if "No space left" in text:
        return f"the server found no disk space: free some at {data_dir} ({detail})"
    if "Address already in use" in text or ("lock file" in text and "socket" in text):
        return (
            f"the server's port or socket is taken ({detail}): set TSDB_TRADER_DB_PORT to a "
            "free port, or to 0 to have one chosen"
        )
    if "shared memory" in text:
        return f"the server got no shared memory ({detail}): end other servers on {data_dir}"
    if "incompatible with server" in text:
        return f"{data_dir} belongs to another major version of PostgreSQL ({detail})"
    return f"the server did not start ({detail}): see {data_dir}/log"
