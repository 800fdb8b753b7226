"""Configuration: the environment (``TSDB_TRADER_*``) over defaults, read at the entry point."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from tsdb_trader.errors import ConfigurationError


def _xdg(variable: str, fallback: str) -> Path:
    base = os.environ.get(variable)
    return (Path(base) if base else Path.home() / fallback) / "tsdb-trader"


class Settings(BaseSettings):
    """What a process needs to know before it can ask the database."""

    model_config = SettingsConfigDict(env_prefix="TSDB_TRADER_", extra="ignore")

    home: Path = Field(default_factory=lambda: _xdg("XDG_DATA_HOME", ".local/share"))
    """Durable state: the private server's data, FIX message stores, seals, logs."""
    cache: Path = Field(default_factory=lambda: _xdg("XDG_CACHE_HOME", ".cache"))
    """What can be made again: downloaded packages, built wheels."""
    database_url: str | None = None
    """The owner's URL of an existing server; without it the private server is used."""
    database_name: str = "tsdb_trader"
    """Database of the private server."""
    db_port: int = Field(default=0, ge=0, le=65535)
    """Loopback port of the private server; 0 picks a free one and keeps it."""
    pg_prefix: Path | None = None
    """Folder holding usr/lib/postgresql/NN/bin with TimescaleDB, used instead of a download."""
    timescaledb_license: Literal["timescale", "apache"] | None = None
    """Edition the private server offers; unset leaves the packages' own default."""
    fix_host: str = "127.0.0.1"
    """Where the gateway finds the venue, and where the venue listens."""
    fix_port: int = Field(default=0, ge=0, le=65535)
    """FIX port of the simulated venue; 0 picks a free one at `up` and hands it to the workers."""
    strategies: str = ""
    """Strategies in Python that are loaded: module:Class,module:Class."""
    dask: str = Field(default="", pattern=r"^(|local|((tcp|tls|ws|wss)://)?[\w.\[\]:-]+:\d{1,5})$")
    """Where sweeps are distributed: a scheduler, tcp://host:8786, or local; empty for threads."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"] = "INFO"
    """What the workers log, at the least."""

    @field_validator("log_level", mode="before")
    @classmethod
    def _upper(cls, value: object) -> object:
        return value.upper() if isinstance(value, str) else value

    @field_validator("home", "cache", "pg_prefix")
    @classmethod
    def _absolute(cls, value: Path | None) -> Path | None:
        # Empty or relative, it would mean another folder in every directory one works in.
        if value is not None and not value.is_absolute():
            raise ValueError("name a folder by its full path, or unset it")
        return value

    def make_home(self) -> Path:
        """Return the home folder, made with its folder of logs if it is not there.

        Raises
        ------
        ConfigurationError
            It cannot be written to.
        """
        try:
            (self.home / "logs").mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigurationError(
                f"{self.home} cannot be written ({error.strerror}): set TSDB_TRADER_HOME to a "
                "folder of yours"
            ) from None
        return self.home

    @property
    def fix_dir(self) -> Path:
        """Folder of the FIX message stores, one per side and database."""
        return self.home / "fix"


@dataclass(frozen=True)
class FixLogin:
    """What a FIX session says to be let in."""

    password: SecretStr
    user_name: str | None = None


def fix_login(fix_session: str) -> FixLogin | None:
    """Return what a FIX session logs on with, None where the venue wants no password.

    ``TSDB_TRADER_FIX_<SESSION>_PASSWORD`` holds the password, or
    ``TSDB_TRADER_FIX_<SESSION>_PASSWORD_FILE`` names a file that does, and
    ``TSDB_TRADER_FIX_<SESSION>_USERNAME`` the user; of the session's name, letters and digits
    count.

    Raises
    ------
    ConfigurationError
        Both are set, the file cannot be read or is empty, or there is a user without a password.
    """
    prefix = f"TSDB_TRADER_FIX_{re.sub(r'[^A-Z0-9]', '_', fix_session.upper())}"
    user_name = os.environ.get(f"{prefix}_USERNAME") or None
    password = os.environ.get(f"{prefix}_PASSWORD")
    file = os.environ.get(f"{prefix}_PASSWORD_FILE")
    if password and file:
        raise ConfigurationError(f"{prefix}_PASSWORD and {prefix}_PASSWORD_FILE: set one of them")
    if file:
        try:
            password = Path(file).read_text().strip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "not a text"
            raise ConfigurationError(f"{prefix}_PASSWORD_FILE: {file}: {reason}") from None
        if not password:
            raise ConfigurationError(f"{prefix}_PASSWORD_FILE: {file} is empty")
    if not password:
        if user_name is not None:
            raise ConfigurationError(f"{prefix}_USERNAME: there is no {prefix}_PASSWORD")
        return None
    return FixLogin(SecretStr(password), user_name)


@lru_cache(maxsize=1)
def settings() -> Settings:
    """Return the process's settings.

    Raises
    ------
    ConfigurationError
        A variable holds an unusable value; the message names it.
    """
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors()[0]
        name = "TSDB_TRADER_" + "_".join(str(p) for p in first["loc"]).upper()
        problem = first["msg"].removeprefix("Value error, ")
        raise ConfigurationError(f"{name}: {problem} (got {str(first['input'])!r})") from None
