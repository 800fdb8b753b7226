"""Configuration: the environment (``TSDB_TRADER_*``) over defaults, read at the entry point."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError, field_validator
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
