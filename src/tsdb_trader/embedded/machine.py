"""What the server takes from the machine: an account, memory, a port, a socket."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tsdb_trader.errors import EmbeddedServerError

MB = 2**20
_SOCKET_LIMIT = 107  # sizeof(sun_path) - 1


@dataclass(frozen=True)
class Account:
    """The operating-system user the server runs as."""

    uid: int
    gid: int
    name: str

    def run(self, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a program as this user, away from the caller's folder and locale."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("PG", "LC_", "LANG"))}
        other = self.uid != os.geteuid()
        return subprocess.run(
            command,
            cwd="/",
            env={**kept, "LC_ALL": "C", **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            user=self.uid if other else None,
            group=self.gid if other else None,
            extra_groups=[] if other else None,
        )

    def own(self, path: Path) -> None:
        """Give `path` to this user."""
        if self.uid != os.geteuid():
            os.chown(path, self.uid, self.gid)


def account_for(data_dir: Path) -> Account:
    """Return who runs the server: the owner of the data, else this user, never root."""
    uid = data_dir.stat().st_uid if data_dir.exists() else os.geteuid()
    if uid == 0:
        names = [n for n in ("postgres", "nobody") if _known(n)]
        if not names:
            raise EmbeddedServerError(
                "PostgreSQL refuses to run as root and there is no user postgres or nobody: "
                "add one, or run as an ordinary user"
            )
        uid = pwd.getpwnam(names[0]).pw_uid
    if os.geteuid() not in (0, uid):
        raise EmbeddedServerError(
            f"{data_dir} belongs to user {_name_of(uid)}: run it as that user, or choose another "
            "folder with TSDB_TRADER_HOME"
        )
    return Account(uid, _group_of(uid), _name_of(uid))


def _known(name: str) -> bool:
    try:
        return bool(pwd.getpwnam(name))
    except KeyError:
        return False


def _name_of(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _group_of(uid: int) -> int:
    try:
        return pwd.getpwuid(uid).pw_gid
    except KeyError:
        return os.getegid()


def machine_memory() -> int:
    """Return the bytes of memory this process may use (the container's limit if lower)."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for file in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        with contextlib.suppress(OSError, ValueError):
            total = min(total, int(Path(file).read_text()))
    return total


def sizing(memory: int, cores: int, free_disk: int) -> dict[str, str]:
    """Return the settings that depend on the machine (bytes in, PostgreSQL's units out)."""

    def bounded(value: int, low: int, high: int) -> str:
        return f"{max(low, min(high, value // MB))}MB"

    return {
        "shared_buffers": bounded(memory // 4, 64, 4096),
        "effective_cache_size": bounded(memory * 6 // 10, 256, 1 << 20),
        "work_mem": bounded(memory // 512, 4, 64),
        "maintenance_work_mem": bounded(memory // 16, 64, 1024),
        "max_wal_size": bounded(free_disk // 10, 256, 4096),
        "max_worker_processes": str(2 * cores + 24),
        "max_parallel_workers": str(cores),
        "max_parallel_workers_per_gather": str(max(1, cores // 2)),
    }


def fixed_settings() -> dict[str, str]:
    """Return the settings that hold everywhere: durable, private, quiet."""
    settings = {
        "shared_preload_libraries": "timescaledb",
        "fsync": "on",
        "full_page_writes": "on",
        "synchronous_commit": "on",
        "max_connections": "200",
        "max_locks_per_transaction": "512",
        "password_encryption": "scram-sha-256",
        "listen_addresses": "127.0.0.1",
        "unix_socket_permissions": "0777",  # the folder decides who gets in
        "timezone": "UTC",
        "log_timezone": "UTC",
        "jit": "off",
        "random_page_cost": "1.1",
        "logging_collector": "on",
        "log_directory": "log",
        "log_filename": "postgresql-%a.log",
        "log_truncate_on_rotation": "on",
        "log_rotation_size": "100MB",
        "log_line_prefix": "%m [%p] %q%u@%d ",
        "timescaledb.telemetry_level": "off",
        "timescaledb.max_background_workers": "16",
    }
    with contextlib.suppress(OSError):
        if shutil.disk_usage("/dev/shm").total < 512 * MB:  # noqa: S108 - measured, not written
            # Containers get 64 MB there, which a parallel hash join outgrows.
            settings["dynamic_shared_memory_type"] = "sysv"
    return settings


def free_port() -> int:
    """Return a loopback port that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def port_is_free(port: int) -> bool:
    """Tell whether a server could listen on loopback `port`."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def socket_fits(folder: Path) -> bool:
    """Tell whether the system can address a Unix socket in `folder`."""
    return len(os.fsencode(folder / ".s.PGSQL.65535.lock")) <= _SOCKET_LIMIT
