"""Packages for the private server: source lists, apt's complaints, and an apt that is not there."""

from __future__ import annotations

import shutil
import stat
from pathlib import Path

import pytest
from rich.console import Console

from tsdb_trader.embedded import apt_sources, debian
from tsdb_trader.embedded.apt_sources import Source
from tsdb_trader.errors import EmbeddedServerError

KEYS = "/usr/share/keyrings/debian-archive-keyring.gpg"
QUIET = Console(quiet=True)
APT_GET = """
case "$*" in
*print-uris*)
    echo "'http://m.example/p' postgresql-17_17.5_all.deb 4 SHA256:0"
    echo "'http://m.example/c' libc6_1%3a2_all.deb 5 SHA256:0"
    echo "'http://m.example/d' perl_5_all.deb 9 SHA256:0" ;;
*" download "*)
    echo "$*" >> {folder}/calls
    test -e {folder}/failure && cat {folder}/failure >&2 && exit 100
    printf data > postgresql-17_17.5_all.deb
    printf libc6 > libc6_1%3a2_all.deb ;;
esac
"""
DPKG_DEB = """
mkdir -p "$3/usr/lib/postgresql/17/bin" "$3/usr/lib/x"
cp /bin/true "$3/usr/lib/postgresql/17/bin/postgres"
cp -L {loader} {libc} "$3/usr/lib/x/"
"""
PACKAGES = "postgresql-17\npostgresql-17-timescaledb\npostgresql-common\n"


def test_one_line_sources_options_and_comments_are_understood() -> None:
    text = f"""
# deb http://commented.example/debian bookworm main
deb-src http://source.example/debian bookworm main
deb [arch=amd64 signed-by={KEYS} trusted=yes] http://a.example/debian bookworm main contrib # x
  deb http://b.example/debian-security bookworm-security main
deb cdrom:[Debian]/ bookworm main
deb http://flat.example/ ./
deb
"""
    assert apt_sources.parse_one_line(text) == [
        Source(("http://a.example/debian",), ("bookworm",), ("main", "contrib"), KEYS),
        Source(("http://b.example/debian-security",), ("bookworm-security",), ("main",)),
        Source(("http://flat.example/",), ("./",), ()),
    ]


def test_deb822_sources_stanzas_are_understood() -> None:
    text = f"""Types: deb deb-src
# a comment
URIs: http://a.example/debian
Suites: bookworm
  bookworm-updates
Components: main
Signed-By: {KEYS}

Types: deb
Enabled: no
URIs: http://off.example/debian
Suites: bookworm
Components: main

Types: deb-src
URIs: http://source.example/debian
Suites: bookworm
Components: main
"""
    (found,) = apt_sources.parse_deb822(text)
    assert found == Source(
        ("http://a.example/debian",), ("bookworm", "bookworm-updates"), ("main",), KEYS
    )
    assert apt_sources.parse_deb822(found.stanza()) == [found]


def test_deb822_source_embedded_key_survives() -> None:
    key = "\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n mDMEY865UxYJKwYBBAHa\n -----END-----"
    text = f"Types: deb\nURIs: https://a.example/\nSuites: sid\nComponents: main\nSigned-By:{key}\n"
    (found,) = apt_sources.parse_deb822(text)
    assert found.signed_by == key
    assert apt_sources.parse_deb822(found.stanza()) == [found]


def test_machine_sources_both_formats_are_read(tmp_path: Path) -> None:
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / "sources.list").write_text("deb http://a.example/debian sid main\n")
    (tmp_path / "sources.list.d/b.sources").write_text(
        "Types: deb\nURIs: http://b.example/debian\nSuites: sid\nComponents: main\n"
    )
    (tmp_path / "sources.list.d/c.list.disabled").write_text("deb http://c.example/ sid main\n")
    uris = [s.uris[0] for s in apt_sources.machine_sources(tmp_path)]
    assert uris == ["http://a.example/debian", "http://b.example/debian"]


def test_codename_and_keyring_are_found(tmp_path: Path) -> None:
    release = tmp_path / "os-release"
    assert apt_sources.machine_codename(release) is None
    release.write_text('NAME="Debian"\nVERSION_CODENAME=bookworm\n')
    assert apt_sources.machine_codename(release) == "bookworm"
    assert apt_sources.find_keyring(tmp_path) is None
    (tmp_path / "debian-archive-keyring.gpg").touch()
    assert apt_sources.find_keyring(tmp_path) == str(tmp_path / "debian-archive-keyring.gpg")


def test_candidates_newer_suite_is_taken_from_the_same_mirror_only() -> None:
    own = [
        Source(("http://m.example/debian",), ("bookworm", "bookworm-updates"), ("main",), KEYS),
        Source(("http://m.example/security",), ("bookworm-security",), ("main", "contrib"), KEYS),
        Source(("http://other.example/",), ("bookworm",), ("stable",)),
        Source(("http://node.example/",), ("nodistro",), ("main",)),
    ]
    (first, second) = debian._candidates("bookworm", own)
    assert first == ("bookworm", own)
    assert second[0] == "trixie"
    assert [(s.uris[0], s.suites) for s in second[1]] == [
        ("http://m.example/debian", ("trixie", "trixie-updates")),
        ("http://m.example/security", ("trixie-security",)),
    ]
    assert [name for name, _ in debian._candidates("trixie", own)] == ["trixie"]
    with pytest.raises(EmbeddedServerError, match="no package source"):
        debian._candidates("bookworm", [])


@pytest.mark.parametrize(
    ("stderr", "advice"),
    [
        (
            "E: Failed to fetch http://u:pw@m.example/x  Temporary failure resolving",
            "check the net",
        ),
        (
            "E: Failed to fetch http://m.example/x  Could not connect to m.example:80",
            "check the net",
        ),
        ("E: Failed to fetch http://m.example/x  Connection timed out", "check the network"),
        ("W: GPG error: http://m.example trixie: NO_PUBKEY 6ED0", "install a current debian-arch"),
        ("E: The repository 'http://m.example trixie' is not signed.", "could not verify"),
        ("E: You don't have enough free space in /x/", "the disk is full"),
        ("E: Write error - write (28: No space left on device)", "the disk is full"),
        ("E: Unable to locate package postgresql-17-pgtap", "does not carry"),
        ("E: Something else", "apt failed: Something else"),
        ("", "apt failed: no message"),
    ],
)
def test_complaint_of_apt_becomes_one_line_of_advice(stderr: str, advice: str) -> None:
    text = debian.explain(stderr, Path("/where"))
    assert advice in text
    assert "\n" not in text
    assert "pw@" not in text


def test_libraries_of_the_closure_are_told_from_the_rest() -> None:
    wanted = ["libc6", "libssl3t64", "zlib1g", "libicu76", "libldap2"]
    others = ["libllvm19", "libz3-4", "libperl5.40", "libjson-perl", "perl", "debconf", "openssl"]
    assert [n for n in wanted + others if debian._is_library(n)] == wanted


def _script(folder: Path, name: str, text: str) -> None:
    file = folder / name
    file.write_text(f"#!/bin/sh\n{text}\n")
    file.chmod(file.stat().st_mode | stat.S_IXUSR)


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder of programs that stand in for apt and dpkg; the mirror is a file of ours."""
    folder = tmp_path / "tools"
    folder.mkdir()
    source = Source(("http://m.example/debian",), ("bookworm",), ("main",))
    monkeypatch.setattr(debian, "machine_sources", lambda: [source])
    monkeypatch.setattr(debian, "machine_codename", lambda: "bookworm")
    monkeypatch.setenv("PATH", str(folder), prepend=":")
    libc = next(Path("/lib").glob("*-linux-gnu/libc.so.6"))
    loader = next(Path("/lib64").glob("ld-linux*"), None) or next(Path("/lib").glob("ld-linux*"))
    _script(folder, "apt-cache", f"printf '{PACKAGES}'")
    _script(folder, "apt-get", APT_GET.format(folder=tmp_path))
    _script(folder, "dpkg-deb", DPKG_DEB.format(loader=loader, libc=libc))
    return folder


def _install(tmp_path: Path) -> None:
    with (tmp_path / "lock").open("w") as lock:
        debian.install(tmp_path / "prefix", tmp_path / "downloads", QUIET, lock.fileno())


def test_install_with_apt_downloads_unpacks_and_is_done_once(tmp_path: Path, tools: Path) -> None:
    (tmp_path / "prefix").mkdir()
    (tmp_path / "prefix/half-finished").touch()
    _install(tmp_path)
    assert not (tmp_path / "prefix/half-finished").exists()
    assert not (tmp_path / "downloads").exists()
    versions = (tmp_path / "prefix/complete").read_text()
    assert versions == "postgresql-17 17.5\nlibc6 1:2\n"
    shutil.rmtree(tools)
    _install(tmp_path)


def test_install_interrupted_download_keeps_what_it_has(tmp_path: Path, tools: Path) -> None:
    (tmp_path / "failure").write_text("E: Failed to fetch http://m.example/p  Connection failed\n")
    with pytest.raises(EmbeddedServerError, match="mirror cannot be reached"):
        _install(tmp_path)
    kept = tmp_path / "downloads/archives/libc6_1%3a2_all.deb"
    kept.write_text("lib")
    assert not debian.is_complete(tmp_path / "prefix")
    (tmp_path / "failure").unlink()
    _install(tmp_path)
    assert debian.is_complete(tmp_path / "prefix")
    assert len((tmp_path / "calls").read_text().splitlines()) == 2


def test_install_network_down_at_the_index_says_so(tmp_path: Path, tools: Path) -> None:
    _script(tools, "apt-cache", "exit 0")
    _script(tools, "apt-get", "echo 'W: Failed to fetch x  Could not resolve host' >&2")
    with pytest.raises(EmbeddedServerError, match="mirror cannot be reached"):
        _install(tmp_path)


def test_install_no_suite_with_timescaledb_says_so(tmp_path: Path, tools: Path) -> None:
    _script(tools, "apt-cache", "echo postgresql-17")
    with pytest.raises(EmbeddedServerError, match="no configured package mirror carries"):
        _install(tmp_path)


def test_install_without_apt_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EmbeddedServerError, match="no apt on this machine"):
        _install(tmp_path)


def test_install_disk_full_is_seen_before(
    tmp_path: Path, tools: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)._replace(free=10 * 2**20)
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: usage)
    with pytest.raises(EmbeddedServerError, match=r"10 MB are free at .*, 700 MB are needed"):
        _install(tmp_path)
    assert not (tmp_path / "calls").exists()
