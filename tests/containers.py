"""The services of docker-compose.yml, started as processes of this machine."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from tsdb_trader.embedded import machine

ROOT = Path(__file__).parents[1]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]
OURS = [name for name, service in SERVICES.items() if "build" in service]
ONCE = [name for name, service in SERVICES.items() if service.get("restart") == "no"]
WORKERS = [name for name in OURS if name not in ONCE]
WRAPPER = ROOT / "docker" / "tsdb-trader"


def secrets_of(service: dict[str, Any]) -> dict[str, str]:
    """Return the secrets of a service: file name below /run/secrets to secret."""
    found = {}
    for item in service.get("secrets", []):
        source = item if isinstance(item, str) else item["source"]
        found[source if isinstance(item, str) else item["target"]] = source
    return found


def written_names(folder: Path) -> dict[str, str]:
    """Return what docker/make_env.sh writes."""
    file = folder / "env"
    script = ROOT / "docker" / "make_env.sh"
    subprocess.run(["sh", script, file], check=True, capture_output=True)
    assert file.stat().st_mode & 0o777 == 0o600
    again = subprocess.run(["sh", script, file], check=False, capture_output=True)
    assert again.returncode == 1, "passwords of a database would be lost"
    return dict(line.split("=", 1) for line in file.read_text().splitlines())


@dataclass
class Stack:
    """The services of ours with `db` being a server of this machine.

    Hosts, ports and paths of the containers are replaced by those of here; commands, roles,
    secrets and the wrapper around the program are the containers'.
    """

    folder: Path
    port: int
    passwords: dict[str, str]
    """By secret."""
    fix_port: int = field(default_factory=machine.free_port)
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def environment(self, name: str) -> dict[str, str]:
        """Return the environment of a service."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("TSDB_TRADER_", "PG"))}
        found = {**kept, "TSDB_TRADER_HOME": str(self.folder / name)}
        for variable, value in SERVICES[name]["environment"].items():
            text = str(value).replace("@db:5432/", f"@127.0.0.1:{self.port}/")
            found[variable] = "127.0.0.1" if text == "venue" else text
        if "TSDB_TRADER_FIX_PORT" in found:
            found["TSDB_TRADER_FIX_PORT"] = str(self.fix_port)
        return found

    def command(self, name: str, arguments: list[str]) -> list[str]:
        """Return what the image's entry point runs for a service."""
        secrets = self.folder / "secrets" / name
        if not secrets.exists():
            secrets.mkdir(parents=True)
            for target, source in secrets_of(SERVICES[name]).items():
                (secrets / target).write_text(self.passwords[source])
            program = str(Path(sys.executable).parent / "tsdb-trader")
            text = WRAPPER.read_text().replace("/run/secrets", str(secrets))
            assert text.count("/opt/tsdb-trader/bin/tsdb-trader") == 1
            text = text.replace("/opt/tsdb-trader/bin/tsdb-trader", program)
            (secrets / "wrapper").write_text(text)
        translated = [a.replace("/run/secrets", str(secrets)) for a in arguments]
        return ["sh", str(secrets / "wrapper"), *translated]

    def run(self, name: str, arguments: list[str]) -> subprocess.CompletedProcess[str]:
        """Run a command in the container of a service to its end."""
        return subprocess.run(self.command(name, arguments), env=self.environment(name),
                              check=False, capture_output=True, text=True, timeout=90)  # fmt: skip

    def start(self, name: str) -> None:
        """Start a service."""
        with (self.folder / f"{name}.log").open("wb") as log:
            self.processes[name] = subprocess.Popen(
                self.command(name, SERVICES[name]["command"]),
                env=self.environment(name), stdout=log, stderr=log,
            )  # fmt: skip

    def log(self, name: str) -> str:
        """Return what a service has written."""
        return (self.folder / f"{name}.log").read_text()[-2000:]

    def await_health(self, name: str) -> None:
        """Repeat a service's health check, as an engine does, until it passes."""
        word, program, *arguments = SERVICES[name]["healthcheck"]["test"]
        assert (word, program) == ("CMD", "tsdb-trader")
        for _ in range(40):
            assert self.processes[name].poll() is None, self.log(name)
            done = self.run(name, arguments)
            if done.returncode == 0:
                return
        pytest.fail(f"{name} did not become healthy: {done.stdout}{done.stderr}{self.log(name)}")

    def await_logon(self) -> None:
        """Wait until the gateway has reached the venue."""
        for _ in range(40):
            done = self.run("tools", ["status", "--json"])
            assert done.returncode == 0, done.stdout + done.stderr
            beats = {w["worker"]: w["detail"] for w in json.loads(done.stdout)["workers"]}
            if beats["gateway"]["logged_on"]:
                return
        pytest.fail(f"no FIX session: {self.log('gateway')}{self.log('venue')}")

    def stop(self) -> dict[str, int]:
        """End every service as an engine does; return the exit statuses."""
        for process in self.processes.values():
            process.send_signal(signal.SIGTERM)
        return {name: process.wait(30) for name, process in self.processes.items()}
