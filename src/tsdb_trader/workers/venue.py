"""Simulated venues as a worker: follows the market while their FIX acceptor serves."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tsdb_trader import db, schema
from tsdb_trader.api import venue as api
from tsdb_trader.clock import Clock, SystemClock
from tsdb_trader.config import Settings, settings
from tsdb_trader.db import Connection
from tsdb_trader.errors import ConfigurationError
from tsdb_trader.venue import engine_settings
from tsdb_trader.venue.acceptor import Acceptor
from tsdb_trader.venue.engine_settings import EngineSettings
from tsdb_trader.venue.exchange import Exchange
from tsdb_trader.venue.journal import Journal

_ROLE = "tsdb_venue"
# A killed predecessor holds the venue until its server process has noticed.
_TAKE_OVER_S = 20.0
_RETRY_S = 0.05


class VenueWorker:
    """Runs simulated venues, all behind one acceptor.

    Parameters
    ----------
    venues
        Their names, also their CompIDs; sessions with another CompID are with the first. None for
        all that are active.
    url
        The database as the venue's role; by default from the configuration.
    sessions
        A QuickFIX acceptor configuration to use instead of the shipped one.
    """

    kind = "venue"
    channels = ("market_batches", "ops_sessions", "venue_commands")
    poll_s = 0.5

    def __init__(
        self,
        venues: str | Sequence[str] | None = "SIM",
        url: str | None = None,
        *,
        sessions: Path | None = None,
        config: Settings | None = None,
        clock: Clock | None = None,
    ) -> None:
        named = (venues,) if isinstance(venues, str) else tuple(venues or ())
        if len(set(named)) < len(named):
            raise ConfigurationError("name each venue once")
        self.name = "venue" if not named or named[0] == "SIM" else f"venue-{named[0].lower()}"
        self._venues = named
        self._url = url
        self._config = config or settings()
        self._sessions = sessions
        self._engine = self._read_sessions() if named else None
        self._clock: Clock = clock or SystemClock()
        self._acceptor: Acceptor | None = None

    def start(self, conn: Connection) -> None:
        """Restore the venue from its journal and listen.

        Raises
        ------
        ConfigurationError
            Another process runs this venue, or its port cannot be had.
        """
        self._venues = self._venues or tuple(api.list_venues(conn))
        self._engine = self._engine or self._read_sessions()
        served = [self._open(venue) for venue in self._venues]
        acceptor = Acceptor(served, self._engine, self._clock)
        acceptor.start()
        self._acceptor = acceptor

    def _open(self, venue: str) -> tuple[Exchange, Journal]:
        """Restore one venue, on a connection of its own: the engine's thread uses it as well."""
        own = db.connect(
            self._url or db.database_url(_ROLE),
            autocommit=True,
            application_name=f"tsdb-trader {self.name} journal",
        )
        found = api.read_settings(own, venue)
        if found is None:
            raise ConfigurationError(f"no simulated venue is called {venue}: see venue.settings")
        self._take(own, venue)
        journal = Journal(own, venue)
        return Exchange(journal, self._clock, found), journal

    def step(self, conn: Connection) -> bool:
        """Let resting orders meet what the market showed since the last step."""
        return self._running().follow()

    def stop(self) -> None:
        """End the FIX sessions."""
        self._running().stop()

    def detail(self) -> dict[str, Any]:
        """Return the number of working orders, and where the venue listens."""
        working = self._acceptor.working() if self._acceptor else {}
        return {
            "venue": ", ".join(self._venues),
            "port": self._engine.ports[0] if self._engine else None,
            "working_orders": sum(working.values()),
        }

    def _read_sessions(self) -> EngineSettings:
        if not self._venues:
            raise ConfigurationError("no simulated venue is active: see venue.settings")
        store = self._config.fix_dir / "venue"
        if self._sessions is not None:
            return engine_settings.from_file(self._sessions, venue=self._venues[0], store=store)
        return engine_settings.merge(
            [
                engine_settings.from_template(
                    schema.root() / "fixcfg" / "venue.cfg",
                    host=self._config.fix_host,
                    port=self._config.fix_port,
                    venue=venue,
                    store=store,
                )
                for venue in self._venues
            ]
        )

    def _running(self) -> Acceptor:
        if self._acceptor is None:
            raise ConfigurationError("the venue was not started")
        return self._acceptor

    def _take(self, own: Connection, venue: str) -> None:
        deadline = self._clock.monotonic() + _TAKE_OVER_S
        while not api.lock_venue(own, venue):
            if self._clock.monotonic() >= deadline:
                raise ConfigurationError(
                    f"venue {venue} is run by another process: stop that one first"
                )
            time.sleep(_RETRY_S)
