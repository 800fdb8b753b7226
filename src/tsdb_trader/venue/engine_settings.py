"""The engine's configuration of a venue: the shipped template, or a file of the operator's.

Both are QuickFIX acceptor configurations. They are checked here, key by key, because the engine
ignores what it does not know and stops reading at a line it finds too long; then they are written
out in full, with absolute paths, beside the message store. Only keys that are known here reach
the engine.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from string import Template
from typing import NoReturn

from tsdb_trader import logs
from tsdb_trader.errors import ConfigurationError
from tsdb_trader.venue import engine_keys as keys
from tsdb_trader.venue.dictionaries import APPL_VERSIONS, TRANSPORT, find_dictionary, shipped

_log = logs.get("venue")
_BEGIN_STRINGS = ("FIX.4.0", "FIX.4.1", "FIX.4.2", "FIX.4.3", "FIX.4.4", TRANSPORT)
# The engine reads lines into a buffer of 1024 bytes and stops at one that does not fit.
_LONGEST = 1000
_ECHO = "echo"


@dataclass(frozen=True, slots=True)
class SessionRules:
    """What the venue itself must know of a FIX session.

    Attributes
    ----------
    versions
        The ApplVerIDs (1128, 1137) with a dictionary; empty when the session has no choice.
    echo
        Orders come back as they were sent: for certification of the session layer.
    """

    versions: frozenset[str] = frozenset()
    echo: bool = False


@dataclass(frozen=True)
class EngineSettings:
    """A checked configuration: the engine's file, and what the venue knows of its sessions.

    Attributes
    ----------
    source
        The file that people edit.
    path
        The file that the engine reads; `write` makes it.
    ports
        Where the sessions listen.
    sessions
        By the engine's name of the session: ``FIX.4.4:SIM->TSDB``.
    """

    source: Path
    path: Path
    text: str
    ports: tuple[int, ...]
    sessions: Mapping[str, SessionRules]

    def write(self) -> Path:
        """Write the engine's file beside its store and return its path."""
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.path.write_text(self.text)
        return self.path


@dataclass(slots=True)
class _Section:
    """A section of a file, its keys in upper case as the engine compares them."""

    source: Path
    name: str
    number: int
    values: dict[str, str] = field(default_factory=dict)

    def fail(self, key: str, problem: str) -> NoReturn:
        where = self.name if self.name == "[DEFAULT]" else f"{self.name} {self.number}"
        raise ConfigurationError(f"{self.source}: {where}: {key}: {problem}")

    def get(self, key: str) -> str:
        return self.values.get(key.upper(), "")

    def need(self, key: str) -> str:
        return self.get(key) or self.fail(key, "is missing")

    def set(self, key: str, value: object) -> None:
        self.values[key.upper()] = str(value)


def from_template(
    template: Path, *, host: str, port: int, venue: str, store: Path
) -> EngineSettings:
    """Return the settings of the shipped template, its placeholders filled in.

    Raises
    ------
    ConfigurationError
        The port is not set, or the template is missing or wrong.
    """
    if not port:
        raise ConfigurationError("TSDB_TRADER_FIX_PORT: the venue's port is not set")
    if not template.is_file():
        raise ConfigurationError(f"{template} is missing: install from a checkout")
    text = Template(template.read_text()).substitute(
        host=host, port=port, venue=venue, store=store, dictionary=shipped("FIX44.xml")
    )
    return _settings(text, template, store / f"{venue.lower()}.cfg", store)


def from_file(path: Path, *, venue: str, store: Path) -> EngineSettings:
    """Return the settings of an operator's file; relative paths in it start at its folder.

    Raises
    ------
    ConfigurationError
        The file cannot be read, or is wrong; the message names section and key.
    """
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no UTF-8 text"
        raise ConfigurationError(f"{path} cannot be read: {reason}") from None
    return _settings(text, path.absolute(), store / f"{venue.lower()}.cfg", store)


def merge(parts: Sequence[EngineSettings]) -> EngineSettings:
    """Return the settings of one engine for several venues, written where the first one's are."""
    sessions: dict[str, SessionRules] = {}
    for part in parts:
        sessions |= part.sessions
    return replace(
        parts[0],
        text=parts[0].text + "".join(p.text.removeprefix("[DEFAULT]\n") for p in parts[1:]),
        ports=tuple(sorted({port for part in parts for port in part.ports})),
        sessions=sessions,
    )


def _settings(text: str, source: Path, path: Path, store: Path) -> EngineSettings:
    sessions = _read(text, source)
    named: dict[str, _Section] = {}
    for section in sessions:
        _complete(section, store)
        name = "{}:{}->{}".format(*(section.need(key) for key in keys.IDENTITY))
        if name in named:
            section.fail("TargetCompID", f"session {name} is there twice")
        named[name] = section
    return EngineSettings(
        source=source,
        path=path,
        text=_render(sessions),
        ports=tuple(sorted({int(s.need("SocketAcceptPort")) for s in sessions})),
        sessions={name: _rules(section) for name, section in named.items()},
    )


def _read(text: str, source: Path) -> list[_Section]:
    """Return the sections [SESSION], each with what [DEFAULT] says beneath its own keys."""
    default = _Section(source, "[DEFAULT]", 0)
    sessions: list[_Section] = []
    section: _Section | None = None
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        if len(line.encode()) > _LONGEST:
            raise ConfigurationError(f"{source}: line {number} is longer than {_LONGEST} bytes")
        if line.startswith("["):
            section = _begin(line, number, default, sessions)
            continue
        key, separator, value = line.partition("=")
        if not separator or section is None:
            raise ConfigurationError(f"{source}: line {number}: key=value in a section is expected")
        _keep(section, key.strip(), value.strip())
    if not sessions:
        raise ConfigurationError(f"{source}: there is no [SESSION]")
    for one in sessions:
        one.values = default.values | one.values
    return sessions


def _begin(line: str, number: int, default: _Section, sessions: list[_Section]) -> _Section:
    if line == "[DEFAULT]" and not default.number:
        default.number = number
        return default
    if line == "[SESSION]":
        sessions.append(_Section(default.source, line, len(sessions) + 1))
        return sessions[-1]
    raise ConfigurationError(
        f"{default.source}: line {number}: {line}: one [DEFAULT] and [SESSION]s are expected"
    )


def _keep(section: _Section, key: str, value: str) -> None:
    kind = keys.kind_of(key)
    if kind is None:
        _log.warning("setting ignored", file=str(section.source), key=key)
        return
    problem = keys.problem(kind, value)
    if problem:
        section.fail(key, f"{value!r} {problem}")
    section.set(key, value)


def _complete(section: _Section, store: Path) -> None:
    """Check what the keys say together, and fill in what they leave open."""
    if section.get("ConnectionType") not in ("", "acceptor"):
        section.fail("ConnectionType", "a venue is an acceptor")
    section.set("ConnectionType", "acceptor")
    begin_string, _, _ = (section.need(key) for key in keys.IDENTITY)
    if begin_string not in _BEGIN_STRINGS:
        section.fail("BeginString", f"{begin_string!r} is none of {', '.join(_BEGIN_STRINGS)}")
    section.need("SocketAcceptPort")
    if not section.get("StartTime") and not section.get("EndTime"):
        section.set("NonStopSession", section.get("NonStopSession") or "Y")
    folder = section.source.parent
    given = section.get("FileStorePath")
    section.set("FileStorePath", folder / given if given else store)
    if section.get("UseDataDictionary") != "N":
        _complete_dictionaries(section, begin_string)


def _complete_dictionaries(section: _Section, begin_string: str) -> None:
    if begin_string == TRANSPORT:
        version = section.need("DefaultApplVerID")
        if version not in APPL_VERSIONS:
            section.fail("DefaultApplVerID", f"{version!r} is none of {', '.join(APPL_VERSIONS)}")
        wanted = {
            "TransportDataDictionary": "FIXT11.xml",
            "AppDataDictionary": APPL_VERSIONS[version].dictionary,
        }
        wanted |= {k: "" for k in section.values if k.startswith("APPDATADICTIONARY.")}
    else:
        wanted = {"DataDictionary": APPL_VERSIONS[begin_string].dictionary}
    for key, fallback in wanted.items():
        name = section.get(key) or fallback
        found = find_dictionary(name, section.source.parent)
        if found is None:
            section.fail(key, f"there is no file {name}")
        section.set(key, found)


def _rules(section: _Section) -> SessionRules:
    versions: set[str] = set()
    if section.get("BeginString") == TRANSPORT and section.get("UseDataDictionary") != "N":
        versions.add(APPL_VERSIONS[section.get("DefaultApplVerID")].code)
        for key in section.values:
            if key.startswith("APPDATADICTIONARY."):
                versions.add(_version_of(section, key))
    return SessionRules(frozenset(versions), section.get("Application") == _ECHO)


def _version_of(section: _Section, key: str) -> str:
    name = key.partition(".")[2]
    if name not in APPL_VERSIONS:
        section.fail(key, f"{name} is none of {', '.join(APPL_VERSIONS)}")
    return APPL_VERSIONS[name].code


def _render(sessions: list[_Section]) -> str:
    lines = ["[DEFAULT]"]
    for section in sessions:
        lines.append("[SESSION]")
        lines += [f"{k}={v}" for k, v in section.values.items() if k != "APPLICATION"]
    return "\n".join(lines) + "\n"
