"""`tsdb-trader breaks list|resolve|trades|positions`."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer

app = typer.Typer(
    no_args_is_help=True, help="Differences between the books of others and ours, and their end."
)
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command("list")
def list_breaks(
    all_of_them: Annotated[bool, typer.Option("--all", help="Resolved ones too.")] = False,
    as_json: Json = False,
) -> None:
    """List breaks, the oldest first."""
    from tsdb_trader.api import reconciliation
    from tsdb_trader.commands.order import connected

    with connected() as conn:
        found = reconciliation.list_breaks(conn, resolved=all_of_them)
    if as_json:
        typer.echo(json.dumps([asdict(one) for one in found], default=str))
        return
    for one in found:
        about = f"order {one.order_id}" if one.order_id else one.reference
        end = f" [{one.resolution}, {one.resolved_by}]" if one.resolved_at else ""
        typer.echo(
            f"{one.break_id:>6} {one.kind} ({one.source}) {one.venue or ''} {about}: "
            f"ours {json.dumps(one.ours)} theirs {json.dumps(one.theirs)}{end}"
        )


@app.command()
def resolve(
    break_id: Annotated[int, typer.Argument(help="See `tsdb-trader breaks list`.")],
    action: Annotated[str, typer.Argument(help="keep_ours, or take_theirs, which books it.")],
    reason: Annotated[str, typer.Option(help="Why; it goes into the audit.")],
) -> None:
    """Resolve a break; what is booked for it goes the way of a venue's report."""
    from tsdb_trader.api import reconciliation
    from tsdb_trader.commands.order import connected

    with connected() as conn:
        reconciliation.resolve_break(conn, break_id, action, reason)


@app.command()
def trades(
    file: Annotated[Path, typer.Argument(help="CSV; columns: docs/reconciliation.md.")],
    venue: Annotated[str, typer.Option(help="Where they were made.")],
) -> None:
    """Compare a clearing file's trades with ours; the file is all there is of its days.

    Exit status 1 when there are differences.
    """
    from tsdb_trader import clearing
    from tsdb_trader.commands.order import connected

    read = clearing.read_trades(file)
    with connected() as conn:
        differences = clearing.compare_trades(conn, venue, read)
    count = sum(len(rows) for rows in read.values())
    typer.echo(f"{count} trades of {len(read)} days, {differences} differences")
    raise typer.Exit(1 if differences else 0)


@app.command()
def positions(
    file: Annotated[Path, typer.Argument(help="CSV: account,symbol,quantity.")],
    session: Annotated[UUID, typer.Option(help="The session they are of.")],
) -> None:
    """Compare a clearing file's positions with ours; exit status 1 when there are differences."""
    from tsdb_trader import clearing
    from tsdb_trader.api import reconciliation
    from tsdb_trader.commands.order import connected

    read = clearing.read_positions(file)
    with connected() as conn:
        differences = reconciliation.reconcile_positions(conn, session, "clearing", read)
    typer.echo(f"{len(read)} positions, {differences} differences")
    raise typer.Exit(1 if differences else 0)
