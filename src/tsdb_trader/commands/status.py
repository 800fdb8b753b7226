"""`tsdb-trader status`: workers, feeds, open sessions, alerts."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from tsdb_trader.api.feeds import FeedStatus
    from tsdb_trader.api.sessions import Session
    from tsdb_trader.api.watch import Heartbeat

_STALE_S = 10.0


def status(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    role: Annotated[str | None, typer.Option(help="Role to look as (default: the owner).")] = None,
    worker: Annotated[
        str | None, typer.Option(help="Only this one; the exit status is 1 unless it runs.")
    ] = None,
) -> None:
    """Show workers, feeds, sessions and alerts; the exit status is 1 when a worker is stale."""
    from tsdb_trader import db
    from tsdb_trader.api import feeds, sessions, watch

    with db.connect(role=role, application_name="tsdb-trader status", autocommit=True) as conn:
        beats = watch.heartbeats(conn)
        if worker is not None:
            _show_one(worker, beats)
            return
        opened = sessions.sessions(conn, "open")
        alerts = watch.open_alerts(conn)
        known = feeds.feed_status(conn)
    if as_json:
        typer.echo(json.dumps(_plain(beats, known, opened, alerts), default=str))
    else:
        _print(beats, known, opened, alerts)
    if any(_state(beat) == "stale" for beat in beats):
        raise typer.Exit(1)


def _show_one(worker: str, beats: list[Heartbeat]) -> None:
    """Print one worker's state, for health checks."""
    state = next((_state(beat) for beat in beats if beat.worker == worker), "never seen")
    typer.echo(state)
    if state in ("never seen", "stopped", "stale"):
        raise typer.Exit(1)


def _state(beat: Heartbeat) -> str:
    if beat.status != "stopped" and beat.age_s > _STALE_S:
        return "stale"
    return beat.status


def _plain(
    beats: list[Heartbeat], feeds: list[FeedStatus], opened: list[Session], alerts: list[Any]
) -> dict[str, Any]:
    from dataclasses import asdict

    return {
        "workers": [{**asdict(beat), "state": _state(beat)} for beat in beats],
        "feeds": [asdict(feed) for feed in feeds],
        "sessions": [asdict(session) for session in opened],
        "alerts": [
            dict(zip(("kind", "severity", "message", "raised_at"), alert, strict=True))
            for alert in alerts
        ],
    }


def _print(
    beats: list[Heartbeat], feeds: list[FeedStatus], opened: list[Session], alerts: list[Any]
) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console(highlight=False)
    workers = Table("worker", "state", "pid", "host", "last beat", "detail", title="workers")
    for beat in beats:
        if beat.kind == "feed":
            continue  # in the table of feeds
        state = _state(beat)
        detail = ", ".join(f"{key} {value}" for key, value in beat.detail.items() if value != {})
        workers.add_row(
            escape(beat.worker),
            f"[red]{state}[/red]" if state == "stale" else escape(state),
            str(beat.pid),
            escape(beat.host),
            f"{beat.age_s:.0f} s ago",
            escape(detail),
        )
    console.print(workers if beats else "no worker has run yet: start them with `tsdb-trader up`")
    if feeds:
        print_feeds(feeds)
    table = Table("session", "kind", "name", "feed", "at", "batches", title="open sessions")
    for session in opened:
        table.add_row(
            str(session.session_id),
            session.kind,
            escape(session.name),
            escape(session.feed or ""),
            str(session.as_of or session.from_ts or ""),
            str(session.batches),
        )
    console.print(table if opened else "no session is open")
    for kind, severity, message, raised_at in alerts:
        console.print(f"{severity}: {escape(message)} ({kind}, since {raised_at:%F %T} UTC)")


def print_feeds(feeds: list[FeedStatus]) -> None:
    """Print a table of feeds."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    counts = ("stored", "quarantined", "duplicate", "missing", "gaps", "late", "reconnects")
    table = Table("feed", "state", "last tick", *counts, "last error", title="feeds")
    for feed in feeds:
        bad = feed.state in ("stale", "failed", "connecting")
        age = "" if feed.last_tick_age_s is None else f" ({_age(feed.last_tick_age_s)})"
        table.add_row(
            f"{escape(feed.feed)} ({feed.format})",
            f"[red]{feed.state}[/red]" if bad else escape(feed.state),
            "" if feed.last_ts is None else f"{feed.last_ts:%F %T}{age}",
            *(
                str(count)
                for count in (
                    feed.rows_stored,
                    feed.rows_quarantined,
                    feed.rows_duplicate,
                    feed.rows_missing,
                    feed.open_gaps,
                    feed.late_ticks,
                    feed.reconnects,
                )
            ),
            escape(feed.last_error or ""),
        )
    console = Console(highlight=False)
    console.print(table if feeds else "no feed: see `tsdb-trader load` and `tsdb-trader feed add`")


def _age(seconds: float) -> str:
    """Return an age in the largest unit that gives at least 2."""
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit} ago"
    return f"{seconds:.0f} s ago"
