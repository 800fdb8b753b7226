"""The simulated venue as a worker: follows the market while its FIX acceptor serves."""

from __future__ import annotations

import time
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
    """Runs one simulated venue.

    Parameters
    ----------
    venue
        Its name; with the shipped sessions also its CompID.
    url
        The database as the venue's role; by default from the configuration.
    sessions
        A QuickFIX acceptor configuration to use instead of the shipped one.
    """

    kind = "venue"
    channels = ("market_batches", "ops_sessions")
    poll_s = 0.5

    def __init__(
        self,
        venue: str = "SIM",
        url: str | None = None,
        *,
        sessions: Path | None = None,
        config: Settings | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.name = "venue" if venue == "SIM" else f"venue-{venue.lower()}"
        self._venue = venue
        self._url = url
        self._config = config or settings()
        self._engine = self._read_sessions(sessions)
        self._clock: Clock = clock or SystemClock()
        self._acceptor: Acceptor | None = None

    def start(self, conn: Connection) -> None:
        """Restore the venue from its journal and listen.

        Raises
        ------
        ConfigurationError
            Another process runs this venue, or its port cannot be had.
        """
        # A connection of its own: the engine's thread uses it as well.
        own = db.connect(
            self._url or db.database_url(_ROLE),
            autocommit=True,
            application_name=f"tsdb-trader {self.name} journal",
        )
        self._take(own)
        journal = Journal(own, self._venue)
        acceptor = Acceptor(Exchange(journal, self._clock), journal, self._engine)
        acceptor.start()
        self._acceptor = acceptor

    def step(self, conn: Connection) -> bool:
        """Let resting orders meet what the market showed since the last step."""
        return self._running().follow()

    def stop(self) -> None:
        """End the FIX sessions."""
        self._running().stop()

    def detail(self) -> dict[str, Any]:
        """Return the number of working orders, and where the venue listens."""
        working = self._acceptor.working() if self._acceptor else 0
        return {"venue": self._venue, "port": self._engine.ports[0], "working_orders": working}

    def _read_sessions(self, path: Path | None) -> EngineSettings:
        store = self._config.fix_dir / "venue"
        if path is not None:
            return engine_settings.from_file(path, venue=self._venue, store=store)
        return engine_settings.from_template(
            schema.root() / "fixcfg" / "venue.cfg",
            host=self._config.fix_host,
            port=self._config.fix_port,
            venue=self._venue,
            store=store,
        )

    def _running(self) -> Acceptor:
        if self._acceptor is None:
            raise ConfigurationError("the venue was not started")
        return self._acceptor

    def _take(self, own: Connection) -> None:
        deadline = self._clock.monotonic() + _TAKE_OVER_S
        while not api.lock_venue(own, self._venue):
            if self._clock.monotonic() >= deadline:
                raise ConfigurationError(
                    f"venue {self._venue} is run by another process: stop that one first"
                )
            time.sleep(_RETRY_S)
