"""Set-up: the locks, the Makefile's targets, and the builder of the quickfix wheel."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
LOCKS = sorted(ROOT.glob("requirements*.lock"))


def load_script(name: str) -> ModuleType:
    """Import one of the scripts, which are no package."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def builder() -> Iterator[ModuleType]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "scripts")
        yield load_script("build_quickfix")


@pytest.fixture
def archive_and_lock(tmp_path: Path, builder: ModuleType) -> tuple[Path, Path]:
    """Return a small stand-in of the source archive, and a lock that pins it."""
    top = tmp_path / "quickfix-1.16.0"
    for folder in ("C++", "swig", "spec"):
        (top / folder).mkdir(parents=True)
    (top / "C++/QuickfixPython.cpp").write_text("int engine(); int wrapper() { return engine(); }")
    (top / "C++/Engine.cpp").write_text("int detail(); int engine() { return detail(); }")
    (top / "C++/Detail.cpp").write_text("int detail() { return 44; }")
    (top / "C++/pugixml.cpp").write_text("int xml() { return 1; }")
    (top / "spec/FIX44.xml").write_text("<fix/>")
    (top / "quickfix.py").write_text("version = 44\n")
    (top / "LICENSE").write_text("free\n")
    (top / "PKG-INFO").write_text("Metadata-Version: 2.1\nName: quickfix\nVersion: 1.16.0\n")
    archive = tmp_path / "quickfix-1.16.0.tar.gz"
    subprocess.run(["tar", "-C", tmp_path, "-czf", archive, top.name], check=True)
    lock = tmp_path / "pin.lock"
    lock.write_text(f"quickfix==1.16.0 \\\n    --hash=sha256:{builder.sha256(archive)}\n")
    return archive, lock


def put_in_cache(builder: ModuleType, cache: Path, archive: Path, lock: Path) -> Path:
    """Place the archive where a download would, and return the build folder."""
    version, source_hash = builder.read_pin(lock)
    key = builder.build_key(os.environ.get("CXX", "g++"), source_hash)
    work: Path = cache / "wheels" / f"quickfix-{version}-{key}" / "build"
    (work / "objects").mkdir(parents=True)
    (work / archive.name).write_bytes(archive.read_bytes())
    return work


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_lock_every_package_is_hashed_and_no_index_named(lock: Path) -> None:
    text = lock.read_text()
    packages = re.findall(r"^[a-z0-9].*(?:\n[ ]+.*)*", text, re.MULTILINE)
    assert packages
    assert all("==" in package and "--hash=sha256:" in package for package in packages)
    assert "://" not in text
    assert not re.search(r"^\s*(--index|--extra-index|--find-links|-i|-f)\b", text, re.MULTILINE)


def test_locks_every_dependency_of_the_project_is_pinned() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    wanted = [*project["dependencies"], *(d for group in extras.values() for d in group)]
    names = {re.split(r"[\[<>=!~ ]", d.lower())[0] for d in wanted}
    pinned = {n for lock in LOCKS for n in re.findall(r"^([a-z0-9.-]+)", lock.read_text(), re.M)}
    assert names - pinned == set()


def test_locks_package_in_two_locks_has_the_same_versions() -> None:
    versions: dict[str, dict[str, set[str]]] = {}
    for lock in LOCKS:
        for name, version in re.findall(r"^([a-z0-9.-]+)==([^ \\]+)", lock.read_text(), re.M):
            versions.setdefault(name, {}).setdefault(lock.name, set()).add(version)
    differing = {n: v for n, v in versions.items() if len({frozenset(x) for x in v.values()}) > 1}
    assert differing == {}


def test_make_help_lists_every_target() -> None:
    makefile = (ROOT / "Makefile").read_text()
    match = re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)
    assert match is not None
    # MAKEFLAGS of a surrounding make would print its folder among the lines.
    environment = {k: v for k, v in os.environ.items() if not k.startswith("MAKE")}
    shown = subprocess.run(
        ["make", "-C", ROOT, "--no-print-directory"],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    listed = {line.split()[0] for line in shown.stdout.splitlines() if line.startswith("  ")}
    assert listed == set(match.group(1).split())


def test_make_without_interpreter_says_what_to_install(tmp_path: Path) -> None:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("MAKE")}
    command = ["make", "-C", str(ROOT), "setup", "PYTHON=no-such-python", f"VENV={tmp_path / 'v'}"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "error: no no-such-python; install Python 3.11 or later" in done.stderr


def test_make_venv_old_interpreter_is_turned_away(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    script = load_script("make_venv")
    monkeypatch.setattr(script, "MINIMUM", (99, 0))
    assert script.main(str(tmp_path / "venv")) == 1
    error = capsys.readouterr().err
    assert "and 99.0 or later is needed" in error
    assert error.count("\n") == 1
    assert not (tmp_path / "venv").exists()


def test_logged_failing_command_shows_its_end_and_status(tmp_path: Path) -> None:
    log = tmp_path / "logs" / "step.log"
    command = [sys.executable, "-c", "print('first'); raise SystemExit(7)"]
    done = subprocess.run(
        [sys.executable, ROOT / "scripts/logged.py", "a step", log, *command],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 7
    assert f"error: a step failed; the whole output is in {log}" in done.stderr
    assert "  first" in done.stderr
    assert log.read_text() == "first\n"


def test_build_small_source_gives_a_whole_wheel(
    builder: ModuleType, archive_and_lock: tuple[Path, Path], tmp_path: Path
) -> None:
    archive, lock = archive_and_lock
    work = put_in_cache(builder, tmp_path / "cache", archive, lock)
    wheel = builder.build(lock, tmp_path / "cache", keep=False)
    with zipfile.ZipFile(wheel) as file:
        names = file.namelist()
        record = file.read("quickfix-1.16.0.dist-info/RECORD").decode()
    assert "quickfix.py" in names
    assert any(name.startswith("_quickfix.") for name in names)
    assert "quickfix-1.16.0.data/data/share/quickfix/FIX44.xml" in names
    assert [line.split(",")[0] for line in record.splitlines()] == names
    assert not work.exists()


def test_build_second_time_reuses_the_wheel(
    builder: ModuleType, archive_and_lock: tuple[Path, Path], tmp_path: Path
) -> None:
    archive, lock = archive_and_lock
    put_in_cache(builder, tmp_path / "cache", archive, lock)
    first = builder.build(lock, tmp_path / "cache", keep=False)
    stamp = first.stat().st_mtime_ns
    assert builder.build(lock, tmp_path / "cache", keep=False) == first
    assert first.stat().st_mtime_ns == stamp


def test_build_after_interruption_keeps_whole_objects_only(
    builder: ModuleType,
    archive_and_lock: tuple[Path, Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    archive, lock = archive_and_lock
    work = put_in_cache(builder, tmp_path / "cache", archive, lock)
    builder.build(lock, tmp_path / "cache", keep=True)
    kept = work / "objects" / "engine.o"
    stamp = kept.stat().st_mtime_ns
    (work / "objects" / "pugixml.o").rename(work / "objects" / "pugixml.1.part")
    next(work.parent.glob("*.whl")).unlink()
    builder.build(lock, tmp_path / "cache", keep=True)
    assert kept.stat().st_mtime_ns == stamp
    assert "an earlier build left 2 of 3 files" in capsys.readouterr().err


def test_build_terminated_ends_compilers_and_their_children(tmp_path: Path) -> None:
    pipe, compiler = tmp_path / "pipe", tmp_path / "compiler"
    os.mkfifo(pipe)
    compiler.write_text(f"#!/bin/sh\nexec >{pipe}\necho alive\nsleep 600\ntrue\n")
    compiler.chmod(0o755)
    script = f"""
import signal, sys
from pathlib import Path
sys.path.insert(0, {str(ROOT / "scripts")!r})
import build_quickfix as builder
signal.signal(signal.SIGTERM, signal.default_int_handler)
folder = Path({str(tmp_path)!r})
job = builder.Job(folder / "x.cpp", folder / "x.o", ({str(compiler)!r},))
builder.compile_all([job], folder / "log")
"""
    command = [sys.executable, "-c", script]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process, pipe.open() as output:
        assert output.readline() == "alive\n"
        process.terminate()
        # The end of the pipe comes when the last process that could write to it is gone.
        assert output.read() == ""
    assert not (tmp_path / "x.o").exists()


def test_build_broken_source_names_file_and_log(
    builder: ModuleType, archive_and_lock: tuple[Path, Path], tmp_path: Path
) -> None:
    archive, lock = archive_and_lock
    work = put_in_cache(builder, tmp_path / "cache", archive, lock)
    top = builder.unpack(work / archive.name, work)
    (top / "C++/pugixml.cpp").write_text("int x = ;")
    with pytest.raises(
        builder.BuildError, match=r"pugixml\.cpp does not compile; see .*build\.log"
    ):
        builder.build(lock, tmp_path / "cache", keep=False)
    assert not list(work.parent.glob("*.whl"))


def test_build_without_compiler_says_what_to_install(
    builder: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(builder.BuildError, match=r"no C\+\+ compiler .*apt install g\+\+"):
        builder.compiler_command()


def test_build_without_headers_says_what_to_install(
    builder: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(builder.sysconfig, "get_paths", lambda: {"include": str(tmp_path)})
    with pytest.raises(builder.BuildError, match=r"Python\.h is missing; .*apt install python3"):
        builder.compiler_command()


def test_build_with_little_memory_is_refused(
    builder: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(builder, "free_memory_mb", lambda: 900)
    with pytest.raises(builder.BuildError, match="needs 1800 MB of free memory and 900 MB"):
        builder.parallel_jobs(wrapper_due=True)
    assert builder.parallel_jobs(wrapper_due=False) == 1


def test_build_pin_without_hash_is_refused(builder: ModuleType, tmp_path: Path) -> None:
    lock = tmp_path / "pin.lock"
    lock.write_text("quickfix==1.16.0\n")
    with pytest.raises(builder.BuildError, match="expected one quickfix==VERSION"):
        builder.read_pin(lock)
