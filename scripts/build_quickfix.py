"""Build the wheel of quickfix once per machine and print its path.

The package index has quickfix as source only, and its setup.py compiles 54 files one after the
other: a wrapper of 5.8 MB, and an engine whose files spend their time on the same headers. Here the
engine is compiled as one unit next to the wrapper, with the flags that
docs/decisions/0002-quickfix-build-flags.md settles; the objects survive an interruption, and the
finished wheel stays in the cache for every later checkout.

Standard library only: this runs before anything is installed.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import fcntl
import hashlib
import os
import platform
import shutil
import signal
import subprocess
import sys
import sysconfig
import tarfile
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from status_line import StatusLine

WRAPPER = "QuickfixPython"
APART = (WRAPPER, "pugixml")
"""Files compiled by themselves: the slow one, and a foreign one with macros of its own."""
DEFINES = ("-DNDEBUG", "-D__cpp_noexcept_function_type")
FLAGS = ("-O1", "-g0", "-std=c++17", "-fPIC", "-fwrapv", "-w", *DEFINES)
LINK_FLAGS = ("-shared", "-Wl,--strip-all")
BUILD_FORMAT = "2"
"""To be raised when the way the wheel is made changes."""
WRAPPER_MEMORY_MB = 1800
ENGINE_MEMORY_MB = 800
DISK_MB = 200
POLL_S = 0.2


class BuildError(Exception):
    """The wheel cannot be built; the message is one line and says what to do."""


@dataclass(frozen=True)
class Job:
    """One file to compile."""

    source: Path
    target: Path
    command: tuple[str, ...]


def say(text: str) -> None:
    """Print one line of progress."""
    print(f"quickfix: {text}", file=sys.stderr, flush=True)


def cache_root() -> Path:
    """Return the folder of things that can be made again (as ``tsdb_trader.config`` has it)."""
    own = os.environ.get("TSDB_TRADER_CACHE")
    if own:
        return Path(own)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "tsdb-trader"


def read_pin(lock: Path) -> tuple[str, str]:
    """Return version and SHA-256 of the pinned source distribution."""
    words = lock.read_text().replace("\\\n", " ").split()
    versions = [w.partition("==")[2] for w in words if w.startswith("quickfix==")]
    hashes = [w.partition("sha256:")[2] for w in words if w.startswith("--hash=sha256:")]
    if len(versions) != 1 or len(hashes) != 1:
        raise BuildError(f"{lock}: expected one quickfix==VERSION with one --hash=sha256:...")
    return versions[0], hashes[0]


def python_tags() -> tuple[str, str]:
    """Return the wheel's Python-and-ABI tag and its platform tag."""
    tag = f"cp{sys.version_info.major}{sys.version_info.minor}"
    return f"{tag}-{tag}", sysconfig.get_platform().replace("-", "_").replace(".", "_")


def build_key(compiler: str, source_hash: str) -> str:
    """Return what tells one build from another: source, flags, interpreter, C library."""
    parts = (
        BUILD_FORMAT,
        source_hash,
        compiler,
        *FLAGS,
        *LINK_FLAGS,
        str(sysconfig.get_config_var("EXT_SUFFIX")),
        " ".join(platform.libc_ver()),
    )
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]


def compiler_command() -> str:
    """Return the C++ compiler, checking that it is there and has the headers it needs."""
    compiler = os.environ.get("CXX", "g++")
    if shutil.which(compiler) is None:
        raise BuildError(
            f"no C++ compiler ({compiler}); install g++ (Debian: apt install g++) or set CXX"
        )
    header = Path(sysconfig.get_paths()["include"], "Python.h")
    if not header.is_file():
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        raise BuildError(
            f"{header} is missing; install the Python headers"
            f" (Debian: apt install python{version}-dev)"
        )
    return compiler


def free_memory_mb() -> int | None:
    """Return the memory a build may take: the machine's or the control group's, None if unknown."""
    limits = []
    with contextlib.suppress(OSError, ValueError):
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith(("MemAvailable:", "SwapFree:")):
                limits.append(int(line.split()[1]) // 1024)
        limits = [sum(limits)] if limits else []
    with contextlib.suppress(OSError, ValueError):
        group = Path("/sys/fs/cgroup")
        used = int((group / "memory.current").read_text())
        limits.append((int((group / "memory.max").read_text()) - used) // 2**20)
    return min(limits, default=None)


def parallel_jobs(wrapper_due: bool) -> int:
    """Return how many compilers may run at once, within cores and memory."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    if (free := free_memory_mb()) is None:
        return cores or 1
    first = WRAPPER_MEMORY_MB if wrapper_due else ENGINE_MEMORY_MB
    if free < first:
        raise BuildError(
            f"compiling needs {first} MB of free memory and {free} MB are there;"
            " stop other programs or add swap, then run it again"
        )
    return max(1, min(cores or 1, 1 + (free - first) // ENGINE_MEMORY_MB))


def fetch_source(lock: Path, folder: Path, version: str, source_hash: str) -> Path:
    """Return the pinned source archive, taking it through pip's own configuration if need be."""
    archive = folder / f"quickfix-{version}.tar.gz"
    if archive.is_file() and sha256(archive) == source_hash:
        return archive
    say(f"getting the source of {version}")
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--quiet"]
    command += ["--no-deps", "--no-binary", "quickfix", "--no-build-isolation", "--require-hashes"]
    command += ["--dest", str(folder), "-r", str(lock)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        log = folder / "download.log"
        log.write_text(result.stdout + result.stderr)
        errors = [s for s in result.stderr.splitlines() if "ERROR" in s]
        raise BuildError(
            f"pip could not get quickfix=={version}: {(errors or ['no reason given'])[-1]};"
            f" check the network and pip's index settings (log: {log})"
        )
    if not archive.is_file():
        raise BuildError(f"pip left no {archive.name} in {folder}; remove that folder, run again")
    return archive


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def unpack(archive: Path, folder: Path) -> Path:
    """Unpack the archive anew and return the top folder: a half unpacked one is never used."""
    if (top := folder / archive.name.removesuffix(".tar.gz")).is_dir():
        return top
    fresh = folder / "unpacking"
    shutil.rmtree(fresh, ignore_errors=True)
    with tarfile.open(archive) as tar:
        # Before Python 3.11.4 there are no filters; the archive's hash was checked in any case.
        tar.extraction_filter = getattr(tarfile, "data_filter", None)
        tar.extractall(fresh)  # noqa: S202
    (fresh / top.name).rename(top)
    fresh.rmdir()
    return top


def plan(compiler: str, source: Path, objects: Path) -> list[Job]:
    """List what to compile, the slow wrapper first."""
    include = sysconfig.get_paths()["include"]
    folder = source / "C++"
    parts = [p for p in sorted(folder.glob("*.cpp")) if p.stem not in APART]
    engine = objects.parent / "engine.cpp"
    engine.write_text("".join(f'#include "{part}"\n' for part in parts))
    jobs = []
    for file in (folder / f"{WRAPPER}.cpp", engine, folder / "pugixml.cpp"):
        paths = (f"-I{folder}", f"-I{source / 'swig'}", f"-I{include}")
        command = (compiler, *FLAGS, *paths, "-c", str(file))
        jobs.append(Job(file, objects / f"{file.stem}.o", command))
    return jobs


def part_of(job: Job) -> Path:
    """Return the unfinished object, named so that no compiler of a killed build can write to it."""
    return job.target.with_suffix(f".{os.getpid()}.part")


def start(job: Job, output: IO[bytes]) -> subprocess.Popen[bytes]:
    """Start a compiler in a process group of its own."""
    command = (*job.command, "-o", str(part_of(job)))
    return subprocess.Popen(command, stdout=output, stderr=output, start_new_session=True)


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """Put a signal off to the end of the block: a compiler just started must not be forgotten."""
    pending: list[int] = []
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {n: signal.signal(n, lambda number, _frame: pending.append(number)) for n in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if pending:
        raise KeyboardInterrupt


def compile_all(jobs: list[Job], log: Path) -> None:
    """Compile what is missing, side by side; an object appears under its name only when whole."""
    due = [job for job in jobs if not job.target.is_file()]
    slots = parallel_jobs(any(job.source.stem == WRAPPER for job in due)) if due else 0
    if len(due) < len(jobs):
        left = len(jobs) - len(due)
        say(f"an earlier build left {left} of {len(jobs)} files, going on from there")
    line = StatusLine(at_once=True)
    running: dict[subprocess.Popen[bytes], Job] = {}
    with log.open("ab") as output:
        try:
            while due or running:
                while due and len(running) < slots:
                    job = due.pop(0)
                    with uninterrupted():
                        running[start(job, output)] = job
                done = len(jobs) - len(due) - len(running)
                names = ", ".join(job.source.name for job in running.values())
                line.show(f"quickfix: {line.elapsed:4.0f} s, {done}/{len(jobs)} files, now {names}")
                time.sleep(POLL_S)
                collect(running, log)
        finally:
            line.end(f"quickfix: {line.elapsed:4.0f} s of compiling")
            stop(list(running))


def stop(processes: list[subprocess.Popen[bytes]]) -> None:
    """End the compilers: the whole group, since the compiler proper is a child of g++."""
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def collect(running: dict[subprocess.Popen[bytes], Job], log: Path) -> None:
    """Take the finished compilers off the list and give their objects their names."""
    ended = [process for process in running if process.poll() is not None]
    for process in ended:
        job = running.pop(process)
        if process.returncode == -signal.SIGKILL:
            raise BuildError(
                f"the compiler was killed on {job.source.name}, most likely out of memory;"
                " free some and run it again"
            )
        if process.returncode != 0:
            raise BuildError(f"{job.source.name} does not compile; see {log}")
        part_of(job).rename(job.target)


def link(compiler: str, jobs: list[Job], folder: Path, log: Path) -> Path:
    """Link the objects into the extension module."""
    library = folder / f"_quickfix{sysconfig.get_config_var('EXT_SUFFIX')}"
    command = [compiler, *LINK_FLAGS, *(str(job.target) for job in jobs), "-lpthread"]
    with log.open("ab") as output:
        done = subprocess.run(
            [*command, "-o", str(library)], stdout=output, stderr=output, check=False
        )
    if done.returncode != 0:
        raise BuildError(f"the objects of quickfix do not link; see {log}")
    return library


def write_wheel(source: Path, library: Path, version: str, target: Path) -> None:
    """Write the wheel next to its place and rename it, so that a wheel in the cache is whole."""
    info = f"quickfix-{version}.dist-info"
    tag = "-".join(python_tags())
    about = f"Wheel-Version: 1.0\nGenerator: tsdb_trader\nRoot-Is-Purelib: false\nTag: {tag}\n"
    members: dict[str, bytes] = {library.name: library.read_bytes()}
    members |= {p.name: p.read_bytes() for p in sorted(source.glob("quickfix*.py"))}
    data = f"quickfix-{version}.data/data/share/quickfix"
    members |= {f"{data}/{p.name}": p.read_bytes() for p in sorted((source / "spec").glob("*.xml"))}
    members[f"{info}/METADATA"] = (source / "PKG-INFO").read_bytes()
    members[f"{info}/licenses/LICENSE"] = (source / "LICENSE").read_bytes()
    members[f"{info}/WHEEL"] = about.encode()
    record = ""
    for name, content in members.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=")
        record += f"{name},sha256={digest.decode()},{len(content)}\n"
    members[f"{info}/RECORD"] = f"{record}{info}/RECORD,,\n".encode()
    part = target.with_suffix(".part")
    with zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as wheel:
        for name, content in members.items():
            wheel.writestr(name, content)
    part.rename(target)


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the cache: two set-ups at once build one wheel, the second one waits and reuses it."""
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another set-up is building it, waiting")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def build(lock: Path, folder: Path, keep: bool) -> Path:
    """Return the wheel from the cache, building it first if it is not there."""
    version, source_hash = read_pin(lock)
    compiler = os.environ.get("CXX", "g++")
    key = build_key(compiler, source_hash)
    home = folder / "wheels" / f"quickfix-{version}-{key}"
    wheel = home / f"quickfix-{version}-{'-'.join(python_tags())}.whl"
    if wheel.is_file():
        say(f"reusing {wheel}")
        return wheel
    work = home / "build"
    (work / "objects").mkdir(parents=True, exist_ok=True)
    with locked(home / "lock"):
        if wheel.is_file():
            return wheel
        compiler = compiler_command()
        if shutil.disk_usage(home).free < DISK_MB * 2**20:
            raise BuildError(f"{home} needs {DISK_MB} MB of disk space; free some, run it again")
        say("building it from source, once per machine; this takes one to a few minutes")
        started = time.monotonic()
        archive = fetch_source(lock, work, version, source_hash)
        source = unpack(archive, work)
        log = work / "build.log"
        jobs = plan(compiler, source, work / "objects")
        compile_all(jobs, log)
        write_wheel(source, link(compiler, jobs, work, log), version, wheel)
        if not keep:
            shutil.rmtree(work)
        say(f"built in {time.monotonic() - started:.0f} s: {wheel}")
    return wheel


def main() -> int:
    """Print the path of the wheel; progress and errors go to the standard error."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    default = Path(__file__).parent.parent / "requirements-quickfix.lock"
    parser.add_argument("--lock", type=Path, default=default, help="pin of the source")
    parser.add_argument("--cache", type=Path, default=None, help="folder of the built wheels")
    parser.add_argument("--keep", action="store_true", help="keep source and objects")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        print(build(options.lock, options.cache or cache_root(), options.keep))
    except BuildError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"error: {error}; set TSDB_TRADER_CACHE to a folder to build in", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("error: interrupted; run it again, it goes on where it stopped", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
