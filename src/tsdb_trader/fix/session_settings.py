"""What a FIX session of the gateway needs, and the engine's configuration made of it."""

from __future__ import annotations

import sysconfig
from dataclasses import dataclass, field
from pathlib import Path
from string import Template
from tempfile import NamedTemporaryFile
from xml.etree import ElementTree

from pydantic import SecretStr

from tsdb_trader.errors import ConfigurationError
from tsdb_trader.fix.codec import CodecError, Pairs
from tsdb_trader.fix.codec_requests import logon_fields
from tsdb_trader.fix.store import MessageStore
from tsdb_trader.fix.versions import FIX44, Version


@dataclass(frozen=True)
class SessionSettings:
    """One FIX session, as fixcfg/gateway.cfg wants it.

    `password` goes into the Logon and nowhere else of ours: not into the engine's configuration,
    the archive or a log. The engine stores the Logon before it sends it, in a folder for us alone;
    the password is overwritten there before the Logon leaves.
    """

    template: Path
    host: str
    port: int
    sender: str
    target: str
    store: Path
    version: Version = FIX44
    heartbeat_s: int = 10
    user_name: str | None = None
    password: SecretStr | None = field(default=None, repr=False)

    @property
    def fix_session(self) -> str:
        """The session's name in the archive."""
        return f"{self.version.begin_string}:{self.sender}->{self.target}"

    def message_store(self) -> MessageStore:
        """Return a reader of the session's message store."""
        return MessageStore(self.store, self.version.begin_string, self.sender, self.target)

    def render(self) -> str:
        """Return the engine's configuration.

        Raises
        ------
        ConfigurationError
            The port, the template or a FIX dictionary is missing, or the version's Logon has no
            place for what identifies us.
        """
        if not self.port:
            raise ConfigurationError("TSDB_TRADER_FIX_PORT: the venue's port is not set")
        if not self.template.is_file():
            raise ConfigurationError(f"{self.template} is missing: install from a checkout")
        self.login()
        values = {
            "begin_string": self.version.begin_string,
            "dictionaries": self._dictionaries(),
            "timestamp_digits": self.version.sending_fraction,
            "host": self.host,
            "port": self.port,
            "heartbeat_s": self.heartbeat_s,
            "sender": self.sender,
            "target": self.target,
            "store": self.store,
        }
        try:
            return Template(self.template.read_text()).substitute(values)
        except (KeyError, ValueError) as error:
            raise ConfigurationError(
                f"{self.template}: {error}; known names: {', '.join(values)}"
            ) from None

    def login(self) -> Pairs:
        """Return what the Logon adds.

        Raises
        ------
        ConfigurationError
            The version cannot say it.
        """
        if self.password is None:
            if self.user_name is not None:
                raise ConfigurationError(f"{self.target}: a FIX user name without a password")
            return ()
        secret = self.password.get_secret_value()
        try:
            return logon_fields(self.version, secret, self.user_name)
        except CodecError as error:
            raise ConfigurationError(f"{self.target}: {error}") from None

    def write(self) -> Path:
        """Write the engine's configuration and dictionaries into the store; return the former.

        Raises
        ------
        ConfigurationError
            As `render`.
        """
        text = self.render()
        self.store.mkdir(parents=True, exist_ok=True)
        # The engine writes every message there, for a moment a Logon with its password.
        self.store.chmod(0o700)
        for name in (self.version.dictionary, self.version.transport_dictionary):
            if name is not None:
                _write_open_dictionary(dictionary(name), self.store / name)
        path = self.store / f"{self.version.begin_string}-{self.sender}-{self.target}.cfg"
        path.write_text(text)
        return path

    def _dictionaries(self) -> str:
        """Return the engine's settings that name the dictionaries."""
        application = self.store / self.version.dictionary
        if self.version.transport_dictionary is None:
            return f"DataDictionary={application}"
        return "\n".join(
            (
                f"DefaultApplVerID={self.version.appl_ver_id}",
                f"TransportDataDictionary={self.store / self.version.transport_dictionary}",
                f"AppDataDictionary={application}",
            )
        )


def _write_open_dictionary(source: Path, target: Path) -> None:
    """Copy a dictionary without its lists of codes.

    With them the engine refuses a report, and the fill in it, for a code of the venue's own or of a
    later version; the codec takes such codes as they come.
    """
    if target.exists() and target.stat().st_mtime >= source.stat().st_mtime:
        return
    tree = ElementTree.parse(source)  # noqa: S314 - a file of the library itself
    for known in tree.iterfind("fields/field"):
        for value in known.findall("value"):
            known.remove(value)
    # Sessions of a version share the file, and another process may be reading it.
    with NamedTemporaryFile(dir=target.parent, delete=False) as file:
        tree.write(file)
    Path(file.name).replace(target)


def dictionary(name: str = FIX44.dictionary) -> Path:
    """Return a dictionary that is installed with quickfix, that of FIX 4.4 by default."""
    path = Path(sysconfig.get_path("data")) / "share" / "quickfix" / name
    if not path.is_file():
        raise ConfigurationError(f"{path} is missing: install quickfix again (make setup)")
    return path
