"""`tsdb-trader status`: workers, open sessions, alerts."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
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
    """Show workers, open sessions and alerts; the exit status is 1 when a worker is stale."""
    from tsdb_trader import db
    from tsdb_trader.api import sessions, watch

    with db.connect(role=role, application_name="tsdb-trader status", autocommit=True) as conn:
        beats = watch.heartbeats(conn)
        if worker is not None:
            _show_one(worker, beats)
            return
        opened = sessions.sessions(conn, "open")
        alerts = watch.open_alerts(conn)
    if as_json:
        typer.echo(json.dumps(_plain(beats, opened, alerts), default=str))
    else:
        _print(beats, opened, alerts)
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


def _plain(beats: list[Heartbeat], opened: list[Session], alerts: list[Any]) -> dict[str, Any]:
    from dataclasses import asdict

    return {
        "workers": [{**asdict(beat), "state": _state(beat)} for beat in beats],
        "sessions": [asdict(session) for session in opened],
        "alerts": [
            dict(zip(("kind", "severity", "message", "raised_at"), alert, strict=True))
            for alert in alerts
        ],
    }


def _print(beats: list[Heartbeat], opened: list[Session], alerts: list[Any]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console(highlight=False)
    workers = Table("worker", "state", "pid", "host", "last beat", "detail", title="workers")
    for beat in beats:
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
