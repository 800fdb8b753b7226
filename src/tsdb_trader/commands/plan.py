"""`tsdb-trader plan add|list|pause|resume|cancel`: orderly reductions of positions."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import typer

from tsdb_trader.commands.risk import Json, Reason
from tsdb_trader.errors import InputError

if TYPE_CHECKING:
    from tsdb_trader.db import Connection

app = typer.Typer(no_args_is_help=True, help="Orderly reductions of positions.")

Session = Annotated[UUID, typer.Option(help="Of `tsdb-trader session list`.")]
Plan = Annotated[int, typer.Argument(help="Of `tsdb-trader plan list`.")]


@app.command()
def add(
    session: Session,
    account: Annotated[str, typer.Option(help="Whose positions.")],
    targets: Annotated[
        str, typer.Argument(help='flat, {"fraction": 0.5} or {"KO": 100, "PEP": 0}.')
    ],
    schedule: Annotated[
        str,
        typer.Option(help='Such as {"bucket_s": 60, "participation": 0.1}; docs/risk_monitor.md.'),
    ],
    reason: Reason,
    strategy: Annotated[str | None, typer.Option(help="Of this strategy alone.")] = None,
    as_of: Annotated[str | None, typer.Option(help="Session time; now its last batch's.")] = None,
) -> None:
    """Plan a reduction; the risk worker carries it out, and nothing may add risk meanwhile."""
    from tsdb_trader.api import monitor
    from tsdb_trader.commands.order import connected
    from tsdb_trader.commands.session import parse_time

    wanted = targets if targets == "flat" else _parse(targets, "targets")
    pace = _parse(schedule, "--schedule")
    with connected() as conn:
        at = parse_time(as_of) if as_of else _last_batch(conn, session)
        plan_id = monitor.plan_reduction(
            conn, session, account, strategy, wanted, pace, reason=reason, as_of=at
        )
    typer.echo(f"plan {plan_id} is active")


@app.command("list")
def show(session: Session, as_json: Json = False) -> None:
    """List a session's plans, the oldest first."""
    from tsdb_trader.api import monitor
    from tsdb_trader.commands.order import connected

    with connected() as conn:
        found = monitor.plans(conn, session)
    if as_json:
        typer.echo(json.dumps([asdict(plan) for plan in found], default=str))
        return
    for plan in found:
        words = (f"{name}={value}" for name, value in asdict(plan).items() if value is not None)
        typer.echo("  ".join(words))


@app.command()
def pause(plan: Plan, reason: Reason) -> None:
    """Cancel a plan's working orders and send no more until it is resumed."""
    from tsdb_trader.api import monitor
    from tsdb_trader.commands.order import connected

    with connected() as conn:
        monitor.pause_plan(conn, plan, reason)
    typer.echo(f"plan {plan} is paused")


@app.command()
def resume(plan: Plan, reason: Reason) -> None:
    """Go on with a paused plan."""
    from tsdb_trader.api import monitor
    from tsdb_trader.commands.order import connected

    with connected() as conn:
        monitor.resume_plan(conn, plan, reason)
    typer.echo(f"plan {plan} is active")


@app.command()
def cancel(plan: Plan, reason: Reason) -> None:
    """End a plan for good and cancel its working orders."""
    from tsdb_trader.api import monitor
    from tsdb_trader.commands.order import connected

    with connected() as conn:
        monitor.cancel_plan(conn, plan, reason)
    typer.echo(f"plan {plan} ends, its working orders are cancelled")


def _last_batch(conn: Connection, session: UUID) -> Any:
    from tsdb_trader.api import monitor

    for found in monitor.open_sessions(conn):
        if found.session_id == session:
            return found.as_of
    raise InputError(f"session {session} is not open or has had no batch: name a time with --as-of")


def _parse(text: str, what: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError as error:
        raise InputError(f"{what} is no JSON: {error}") from None
    if not isinstance(found, dict):
        raise InputError(f"{what} is a JSON object, not {text}")
    return found
