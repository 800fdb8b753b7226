"""The container set, without a container engine: what its files say, run as processes here."""

from __future__ import annotations

import fnmatch
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

import psycopg
import pytest
import yaml

from containers import (
    COMPOSE,
    ONCE,
    OURS,
    ROOT,
    SERVICES,
    WORKERS,
    Stack,
    secrets_of,
    written_names,
)
from tsdb_trader import embedded
from tsdb_trader.config import Settings
from tsdb_trader.embedded import ROLES, SUPERUSER, Server
from tsdb_trader.embedded.roles import OPTIONAL
from tsdb_trader.embedded.roles import WORKERS as WORKER_ROLES

# Of the Compose specification, what this project uses: a misspelt key is refused.
KEYS = {
    "build", "cap_drop", "command", "depends_on", "environment", "healthcheck", "image", "init",
    "ports", "profiles", "restart", "secrets", "security_opt", "shm_size", "stop_grace_period",
    "volumes",
}  # fmt: skip
HEALTH_KEYS = {"test", "interval", "timeout", "retries", "start_period"}

Instruction: TypeAlias = tuple[str, str]


# The Compose file ---------------------------------------------------------------------------


def test_compose_has_the_services_of_the_design() -> None:
    assert set(SERVICES) >= {
        "db", "migrate", "venue", "feed", "signals", "gateway", "risk", "scheduler", "grafana",
    }  # fmt: skip
    assert {"db", "grafana"} == set(SERVICES) - set(OURS)
    for name, service in SERVICES.items():
        assert set(service) <= KEYS, name
        assert set(service.get("healthcheck", {})) <= HEALTH_KEYS, name


def test_images_are_pinned_and_name_no_registry() -> None:
    dockerfile = [text for word, text in instructions() if word == "FROM"]
    for image in [s["image"] for s in SERVICES.values()] + [t.split()[0] for t in dockerfile]:
        name, colon, tag = image.rpartition(":")
        assert colon, image
        assert tag not in ("", "latest"), image
        first = name.split("/")[0]
        assert "." not in first, image
        assert ":" not in first, image
    # Without the suffix -oss it is the Community edition.
    assert re.fullmatch(r"timescale/timescaledb:[\d.]+-pg17", SERVICES["db"]["image"])


def test_dependencies_wait_for_what_can_happen() -> None:
    for name, service in SERVICES.items():
        for other, rule in service.get("depends_on", {}).items():
            match rule["condition"]:
                case "service_healthy":
                    assert "healthcheck" in SERVICES[other], (name, other)
                case "service_completed_successfully":
                    assert other in ONCE, (name, other)
                case condition:
                    assert (condition, other) == ("service_started", "venue"), name
    for name in WORKERS:
        assert "migrate" in SERVICES[name]["depends_on"], name
        assert "healthcheck" in SERVICES[name], name


def test_volumes_and_mounted_files_exist() -> None:
    for name, service in SERVICES.items():
        for mount in service.get("volumes", []):
            source = mount.split(":")[0]
            if source.startswith("."):
                assert (ROOT / source).exists(), (name, source)
            else:
                assert source in COMPOSE["volumes"], (name, source)
        if "build" in service:
            folder = ROOT / service["build"]["context"]
            assert (folder / service["build"]["dockerfile"]).is_file(), name
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", [])), name


def test_secrets_are_declared_written_and_given_to_their_role_alone(tmp_path: Path) -> None:
    written = written_names(tmp_path)
    assert {s["environment"] for s in COMPOSE["secrets"].values()} == set(written)
    assert len(set(written.values())) == len(written)
    used = {name: secrets_of(service) for name, service in SERVICES.items()}
    assert set(COMPOSE["secrets"]) == {s for found in used.values() for s in found.values()}
    for name in WORKERS:
        role = WORKER_ROLES[SERVICES[name]["command"][-1]].removeprefix("tsdb_")
        assert used[name] == {"password": f"{role}_password"}, name
    assert used["migrate"] == used["tools"] == {"password": "owner_password"}
    assert set(used["prepare"]) == {"password", *(set(ROLES) - set(OPTIONAL))}
    text = (ROOT / "docker-compose.yml").read_text()
    assert not re.search(r"postgresql://\w+:[^@/]*@", text), "a password in a URL"
    assert "/.env" in (ROOT / ".gitignore").read_text().splitlines()


def test_environment_is_what_the_configuration_reads() -> None:
    known = {f"TSDB_TRADER_{name.upper()}" for name in Settings.model_fields}
    urls = {f"TSDB_TRADER_DATABASE_URL_{r.removeprefix('tsdb_').upper()}" for r in ROLES}
    urls.add(f"TSDB_TRADER_DATABASE_URL_{SUPERUSER.upper()}")
    for name in OURS:
        environment = SERVICES[name].get("environment", {})
        assert set(environment) <= known | urls, name
        for variable in urls & set(environment):
            role = variable.removeprefix("TSDB_TRADER_DATABASE_URL_").lower()
            login = psycopg.conninfo.conninfo_to_dict(environment[variable])["user"]
            assert login in (role, f"tsdb_{role}"), (name, variable)
    for file in ("POSTGRES_PASSWORD_FILE", "GF_SECURITY_ADMIN_PASSWORD__FILE"):
        service = next(s for s in SERVICES.values() if file in s["environment"])
        assert Path(service["environment"][file]).name in secrets_of(service)


def test_grafana_is_provisioned_as_the_readonly_role() -> None:
    folder = ROOT / "grafana" / "provisioning"
    (source,) = yaml.safe_load((folder / "datasources/database.yaml").read_text())["datasources"]
    (provider,) = yaml.safe_load((folder / "dashboards/dashboards.yaml").read_text())["providers"]
    grafana, database = SERVICES["grafana"], SERVICES["db"]["environment"]
    mounts = {m.split(":")[1]: m.split(":")[0] for m in grafana["volumes"]}
    assert mounts["/etc/grafana/provisioning"] == "./grafana/provisioning"
    home = Path(grafana["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"])
    assert str(home.parent) == provider["options"]["path"]
    assert (ROOT / mounts[str(home.parent)] / home.name).is_file()
    assert source["url"] == "db:5432"
    assert source["user"] == "tsdb_readonly"
    assert source["jsonData"]["database"] == database["POSTGRES_DB"]
    secret = re.fullmatch(r"\$__file\{/run/secrets/(\w+)\}", source["secureJsonData"]["password"])
    assert secret
    assert secret[1] in secrets_of(grafana)


def test_docker_compose_accepts_the_file(tmp_path: Path) -> None:
    docker = shutil.which("docker")
    if docker is None or subprocess.run([docker, "compose", "version"], check=False,
                                        capture_output=True).returncode:  # fmt: skip
        pytest.skip("there is no docker client with compose here")
    environment = {**os.environ, **written_names(tmp_path)}
    done = subprocess.run([docker, "compose", "--profile", "*", "config", "--quiet"], cwd=ROOT,
                          env=environment, check=False, capture_output=True, text=True)  # fmt: skip
    assert done.returncode == 0, done.stderr


# The Dockerfile -----------------------------------------------------------------------------


def instructions() -> list[Instruction]:
    """Return the instructions of the Dockerfile."""
    text = (ROOT / "Dockerfile").read_text()
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ")
    return [(w, t.strip()) for w, _, t in (line.partition(" ") for line in joined.splitlines())]


def copies() -> list[tuple[list[str], str]]:
    """Return (sources, target) of what is copied from the context."""
    found = []
    for word, text in instructions():
        if word == "COPY" and not text.startswith("--from="):
            *sources, target = [w for w in text.split() if not w.startswith("--")]
            found.append((sources, target))
    return found


def in_context(path: str) -> bool:
    """Tell whether .dockerignore lets a path through (patterns without wildcards, and `**/x`)."""
    kept = True
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        if not line or line.startswith("#"):
            continue
        pattern = line.removeprefix("!")
        parts = Path(path).parts
        if pattern.startswith("**/"):
            hit = any(fnmatch.fnmatch(part, pattern[3:]) for part in parts)
        else:
            hit = pattern == "*" or path == pattern or path.startswith(f"{pattern}/")
        kept = line.startswith("!") if hit else kept
    return kept


def test_dockerfile_copies_what_exists_and_is_sent() -> None:
    for sources, _ in copies():
        for source in sources:
            assert (ROOT / source).exists(), source
            assert in_context(source), f"{source} is ignored by .dockerignore"
    for secret in (".env", ".git/config", "src/tsdb_trader/__pycache__/cli.pyc", "tests/x.py"):
        assert not in_context(secret), secret


def test_dockerfile_is_multi_stage_and_ends_as_an_ordinary_user() -> None:
    found = instructions()
    starts = [i for i, (word, _) in enumerate(found) if word == "FROM"]
    assert len(starts) == 2
    last = found[starts[-1] :]
    words = [word for word, _ in last]
    assert {"ADD", "ARG"}.isdisjoint(word for word, _ in found)
    assert words.index("USER") < words.index("ENTRYPOINT")
    assert dict(last)["USER"] not in ("root", "0")
    assert json.loads(dict(last)["ENTRYPOINT"]) == ["tsdb-trader"]
    for word, text in found:
        if word == "ENV":
            assert not re.search(r"PASSW|SECRET|TOKEN|URL", text, re.IGNORECASE)
        if "apt-get install" in text:
            assert "--no-install-recommends" in text
            assert "rm -rf /var/lib/apt/lists" in text
        if "pip install" in text and "-r " in text:
            assert text.count("--require-hashes") == text.count("-r "), "unpinned packages"


def test_dockerfile_installs_a_program_that_finds_its_data(tmp_path: Path) -> None:
    build, site = tmp_path / "build", tmp_path / "site"
    for sources, target in copies():
        if Path(target).is_absolute():
            continue
        for source in sources:
            path = ROOT / source
            place = build / target if path.is_dir() else build / target / path.name
            place.parent.mkdir(parents=True, exist_ok=True)
            if path.is_dir():
                junk = shutil.ignore_patterns("__pycache__", "*.egg-info")
                shutil.copytree(path, place, ignore=junk)
            else:
                shutil.copy(path, place)
    steps = [text for word, text in instructions() if word == "RUN"]
    (install,) = [s for s in steps if s.endswith(" .")]
    (move,) = [s for s in steps if s.startswith("mv data")]
    environment = {**os.environ, "PYTHONPATH": str(site), "PYTHONDONTWRITEBYTECODE": "1",
                   "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}  # fmt: skip
    # The image has a virtual environment of its own; here that is a folder before the others.
    step = install.replace("pip install", f"{sys.executable} -m pip install --quiet -t {site}")
    for command in (step, move):
        subprocess.run(["sh", "-ec", command], cwd=build, env=environment, check=True)
    check = (
        "import tsdb_trader as t; from tsdb_trader import schema; p = schema.root();"
        "print(t.__path__[0], p, len(schema.manifest()), (p / 'fixcfg/venue.cfg').is_file(),"
        "(p / 'migrations/env.py').is_file(), (p / 'alembic.ini').is_file())"
    )
    done = subprocess.run([sys.executable, "-c", check], cwd=tmp_path, env=environment, check=True,
                          capture_output=True, text=True)  # fmt: skip
    package, data, files, *there = done.stdout.split()
    assert package == str(site / "tsdb_trader")
    assert data == str(site / "tsdb_trader" / "_data")
    assert int(files) > 0
    assert there == ["True"] * 3


# The services as processes ------------------------------------------------------------------


@pytest.fixture(scope="module")
def own_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Return a server of this test's own: its roles get new passwords."""
    if "TSDB_TRADER_DATABASE_URL" in os.environ:
        pytest.skip("the roles of the configured server must keep their passwords")
    embedded.ensure_running()
    programs = embedded.status().programs
    assert programs is not None
    folder = tmp_path_factory.mktemp("server")
    config = Settings(home=folder / "home", cache=folder / "cache", pg_prefix=programs.parents[4])
    yield embedded.ensure_running(config)
    embedded.reset(config, purge=True)


@pytest.fixture
def stack(own_server: Server, tmp_path: Path) -> Iterator[Stack]:
    """Return the services with a server as the image leaves it: a superuser, an empty database."""
    written = written_names(tmp_path)
    passwords = {k: written[v["environment"]] for k, v in COMPOSE["secrets"].items()}
    passwords["postgres_password"] = own_server.passwords[SUPERUSER]
    database = SERVICES["db"]["environment"]["POSTGRES_DB"]
    with psycopg.connect(own_server.url(SUPERUSER, "postgres"), autocommit=True) as conn:
        conn.execute(f"drop database if exists {database} with (force)".encode())
        for role in ROLES:
            conn.execute(f"drop role if exists {role}".encode())
        conn.execute(f"create database {database}".encode())
    found = Stack(tmp_path, own_server.port, passwords)
    yield found
    for process in found.processes.values():
        process.kill()
        process.wait()


def heartbeats(stack: Stack) -> dict[str, str]:
    """Return the status of every worker, read with the login that Grafana has."""
    password = stack.passwords["readonly_password"]
    url = f"postgresql://tsdb_readonly:{password}@127.0.0.1:{stack.port}/tsdb_trader"
    with psycopg.connect(url) as conn:
        return dict(conn.execute("select worker, status from ops.heartbeats").fetchall())


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_services_run_as_processes_from_an_empty_server_to_a_clean_end(stack: Stack) -> None:
    for name in ("prepare", "migrate", "prepare", "migrate"):  # every `up` runs them again
        done = stack.run(name, SERVICES[name]["command"])
        assert done.returncode == 0, f"{name}: {done.stdout}{done.stderr}"
    for name in WORKERS:
        stack.start(name)
    for name in WORKERS:
        stack.await_health(name)
    stack.await_logon()
    tools = stack.run("tools", SERVICES["tools"]["command"])
    assert tools.returncode == 0, tools.stdout + tools.stderr
    statuses = stack.stop()
    assert set(statuses.values()) == {0}, {n: stack.log(n) for n, s in statuses.items() if s}
    found = heartbeats(stack)
    assert set(found.values()) == {"stopped"}
    # The gateway's FIX sessions beat for themselves.
    assert len([name for name in found if not name.startswith("fix:")]) == len(WORKERS)
    # A stopped service is not healthy.
    _, _, *check = SERVICES["risk"]["healthcheck"]["test"]
    assert stack.run("risk", check).returncode == 1


@pytest.mark.slow
def test_prepare_without_a_password_file_says_which(stack: Stack) -> None:
    stack.command("prepare", [])
    (stack.folder / "secrets" / "prepare" / "tsdb_quant").unlink()
    done = stack.run("prepare", SERVICES["prepare"]["command"])
    assert done.returncode != 0
    assert len(done.stderr.splitlines()) == 1
    assert "tsdb_quant" in done.stderr
