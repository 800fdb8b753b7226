"""`tsdb-trader worker <kind>`: one worker in the foreground."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

if TYPE_CHECKING:
    from tsdb_trader.workers.loop import Loop, Worker


def worker(
    kind: Annotated[
        str, typer.Argument(help="venue, gateway, signals, risk, scheduler, replay, feeds.")
    ],
    names: Annotated[
        list[str] | None,
        typer.Argument(
            help="Simulated venues to host, or FIX sessions of a gateway; without names all that "
            "are active."
        ),
    ] = None,
    venue: Annotated[str, typer.Option(help="One venue to host, or one FIX session.")] = "",
    config: Annotated[
        Path | None, typer.Option(help="FIX sessions of a venue: a QuickFIX acceptor's file.")
    ] = None,
    parent: Annotated[int, typer.Option(hidden=True, help="End with this process.")] = 0,
) -> None:
    """Run one worker in the foreground until it is asked to stop."""
    from tsdb_trader import db, logs
    from tsdb_trader.config import settings
    from tsdb_trader.embedded.roles import WORKERS
    from tsdb_trader.workers.loop import Loop
    from tsdb_trader.workers.stopping import Stop, install_signals
    from tsdb_trader.workers.supervisor import die_with

    if parent:
        die_with(parent)
    logs.configure(settings().log_level, worker=kind)
    url = db.database_url(WORKERS.get(kind, "tsdb_worker"))
    job = _make(kind, [*(names or []), *([venue] if venue else [])], url, config)
    stop = Stop()
    # After everything was imported: QuickFIX resets SIGINT.
    install_signals(stop)
    _end(_run(Loop(job, url=url, stop=stop)))


def _run(loop: Loop) -> int:
    """Run a worker to its end; what ended it is in its log, and in one line on stderr."""
    import psycopg

    from tsdb_trader import logs, schema
    from tsdb_trader.errors import TraderError

    try:
        loop.run()
    except Exception as failure:
        behind = schema.behind(failure) if isinstance(failure, psycopg.Error) else None
        error = behind or failure
        logs.get(loop.name).exception("worker failed", action="exit")
        first = (str(error).strip() or "no message").splitlines()[0]
        print(f"error: {type(error).__name__}: {first}", file=sys.stderr)
        return error.exit_status if isinstance(error, TraderError) else 70
    return 0


def _end(status: int) -> NoReturn:
    """End without Python's own clean-up, which QuickFIX's threads do not survive."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def _make(kind: str, names: list[str], url: str, config: Path | None) -> Worker:
    """Import and build one worker, and nothing of the others."""
    from tsdb_trader.errors import ConfigurationError

    if config is not None and kind != "venue":
        raise ConfigurationError(f"--config is for a venue, not for {kind}")
    if names and kind not in ("venue", "gateway"):
        raise ConfigurationError(f"{kind} has no venues or sessions")
    match kind:
        case "venue":
            from tsdb_trader.workers.venue import VenueWorker

            # A file has the sessions of one venue unless more are named.
            return VenueWorker(names or (["SIM"] if config else None), sessions=config)
        case "gateway":
            from tsdb_trader.workers.gateway import GatewayWorker

            return GatewayWorker(names, url)
        case "signals":
            from tsdb_trader.workers.signals import SignalsWorker

            return SignalsWorker()
        case "risk":
            from tsdb_trader.workers.risk import RiskWorker

            return RiskWorker()
        case "scheduler":
            from tsdb_trader.workers.scheduler import SchedulerWorker

            return SchedulerWorker(url)
        case "replay":
            from tsdb_trader.workers.replay import ReplayWorker

            return ReplayWorker()
        case "feeds":
            from tsdb_trader.workers.feeds import FeedsWorker

            return FeedsWorker(url)
    raise ConfigurationError(f"no worker is called {kind}: see `tsdb-trader worker --help`")
