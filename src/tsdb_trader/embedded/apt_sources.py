"""Read apt's source lists, in the one-line and in the deb822 format (sources.list(5))."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_KEYRINGS = ("debian-archive-keyring.pgp", "debian-archive-keyring.gpg")
_TRANSPORTS = ("http:", "https:", "file:", "copy:", "ftp:", "mirror")


@dataclass(frozen=True)
class Source:
    """One source of binary packages; what would switch signature checks off is not kept."""

    uris: tuple[str, ...]
    suites: tuple[str, ...]
    components: tuple[str, ...]
    signed_by: str | None = None

    def stanza(self) -> str:
        """Return the source in deb822 format."""
        lines = [
            "Types: deb",
            "URIs: " + " ".join(self.uris),
            "Suites: " + " ".join(self.suites),
        ]
        if self.components:
            lines.append("Components: " + " ".join(self.components))
        if self.signed_by:
            lines.append("Signed-By: " + self.signed_by)
        return "\n".join(lines) + "\n"


def parse_one_line(text: str) -> list[Source]:
    """Read ``deb [options] uri suite component...`` lines."""
    found = []
    for line in text.splitlines():
        match = re.match(r"\s*deb\s+(?:\[([^]]*)\]\s*)?([^#]+)", line)
        if not match:
            continue
        words = match[2].split()
        options = dict(o.partition("=")[::2] for o in shlex.split(match[1] or ""))
        if len(words) > 1 and words[0].startswith(_TRANSPORTS):
            signed_by = options.get("signed-by")
            found.append(Source((words[0],), (words[1],), tuple(words[2:]), signed_by))
    return found


def _fields(stanza: str) -> dict[str, str]:
    fields: dict[str, str] = {}
    name = ""
    for line in stanza.splitlines():
        if line.startswith("#"):
            continue
        if line[:1] in " \t":
            fields[name] = fields.get(name, "") + "\n" + line
        elif ":" in line:
            name, _, value = line.partition(":")
            name = name.strip().lower()
            fields[name] = value.strip()
    return fields


def parse_deb822(text: str) -> list[Source]:
    """Read stanzas of ``Types``, ``URIs``, ``Suites``, ``Components`` and ``Signed-By``."""
    found = []
    for stanza in re.split(r"\n(?:[ \t]*\n)+", text):
        fields = _fields(stanza)
        enabled = fields.get("enabled", "yes").lower() not in ("no", "false", "0", "off", "without")
        if not enabled or "deb" not in fields.get("types", "").split():
            continue
        uris = tuple(u for u in fields.get("uris", "").split() if u.startswith(_TRANSPORTS))
        suites = tuple(fields.get("suites", "").split())
        if uris and suites:
            components = tuple(fields.get("components", "").split())
            found.append(Source(uris, suites, components, fields.get("signed-by") or None))
    return found


def _files(etc: Path) -> Iterator[Path]:
    yield etc / "sources.list"
    parts = etc / "sources.list.d"
    if parts.is_dir():
        yield from sorted(p for p in parts.iterdir() if p.suffix in (".list", ".sources"))


def machine_sources(etc: Path = Path("/etc/apt")) -> list[Source]:
    """Return every enabled source of binary packages below `etc`."""
    found: list[Source] = []
    for file in _files(etc):
        if file.is_file():
            parse = parse_deb822 if file.suffix == ".sources" else parse_one_line
            found += parse(file.read_text(errors="replace"))
    return found


def machine_codename(release: Path = Path("/etc/os-release")) -> str | None:
    """Return the machine's suite ("bookworm"), if its release file names one."""
    if not release.is_file():
        return None
    match = re.search(r'^VERSION_CODENAME="?([a-z]+)"?', release.read_text(), re.MULTILINE)
    return match[1] if match else None


def find_keyring(folder: Path = Path("/usr/share/keyrings")) -> str | None:
    """Return the Debian archive keyring of this machine; None leaves the choice to apt."""
    return next((str(folder / n) for n in _KEYRINGS if (folder / n).is_file()), None)
