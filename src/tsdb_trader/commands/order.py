"""`tsdb-trader order list|cancel|cancel-all|replace|settle|verify`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from uuid import uuid4

import typer

if TYPE_CHECKING:
    from tsdb_trader.api.oms import Submitted
    from tsdb_trader.db import Connection

app = typer.Typer(no_args_is_help=True, help="Look at orders, cancel, replace and settle them.")

OrderId = Annotated[int, typer.Argument(help="See `tsdb-trader order list`.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
AsOf = Annotated[
    str | None, typer.Option(help="Session time of the request; default: the clock's.")
]


@contextmanager
def connected() -> Iterator[Connection]:
    """Connect as the operator would, with our own errors."""
    from tsdb_trader import db

    with db.connect(application_name="tsdb-trader order", autocommit=True) as conn, db.translated():
        yield conn


def _time(text: str | None) -> datetime:
    from tsdb_trader.commands.session import parse_time

    return datetime.now(UTC) if text is None else parse_time(text)


@app.command("list")
def list_orders(
    all_of_them: Annotated[bool, typer.Option("--all", help="Those that are over too.")] = False,
    limit: Annotated[int, typer.Option(help="At most so many.", min=1)] = 100,
    as_json: Json = False,
) -> None:
    """List orders that can still trade, the newest first."""
    from tsdb_trader.api import oms

    with connected() as conn:
        found = oms.list_orders(conn, live=not all_of_them, limit=limit)
    if as_json:
        typer.echo(json.dumps([asdict(order) for order in found], default=str))
        return
    for order in found:
        price = "" if order.limit_price is None else f" @ {order.limit_price}"
        typer.echo(
            f"{order.order_id:>8} {order.status:<16} {order.side} {order.quantity} {order.symbol} "
            f"{order.order_type}{price} {order.time_in_force} {order.venue or 'parent'} "
            f"filled {order.cumulative_quantity} {order.account}/{order.strategy}"
        )


@app.command()
def cancel(order_id: OrderId, as_of: AsOf = None) -> None:
    """Ask the venue to cancel an order; exit status 1 when it cannot be cancelled any more."""
    from tsdb_trader.api import oms

    with connected() as conn:
        _print([oms.cancel_order(conn, order_id, uuid4(), _time(as_of))])


@app.command("cancel-all")
def cancel_all(
    scope: Annotated[
        list[str] | None,
        typer.Option(help="Such as symbol=IBM; all have to match.", metavar="K=V"),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_of: AsOf = None,
) -> None:
    """Cancel every order of a scope; without one, every order there is."""
    from tsdb_trader.api import oms
    from tsdb_trader.errors import InputError

    wanted = {}
    for item in scope or []:
        key, equals, value = item.partition("=")
        if not equals:
            raise InputError(f"--scope {item}: write it like symbol=IBM")
        wanted[key] = value
    if not wanted and not yes:
        typer.confirm("Cancel every order of every account?", abort=True)
    with connected() as conn:
        found = oms.cancel_all(conn, wanted, uuid4(), _time(as_of))
    if found:
        _print(found)
    else:
        typer.echo("no order that could be cancelled matches")


@app.command()
def replace(
    order_id: OrderId,
    values: Annotated[
        list[str], typer.Option("--set", help="Such as quantity=200.", metavar="K=V")
    ],
    as_of: AsOf = None,
) -> None:
    """Ask the venue to change an order; quantity is the new total.

    Exit status 1 when it cannot be changed.
    """
    from tsdb_trader.api import oms
    from tsdb_trader.errors import InputError

    changes = {}
    for item in values:
        key, equals, value = item.partition("=")
        if not equals:
            raise InputError(f"--set {item}: write it like quantity=200")
        changes[key] = value
    with connected() as conn:
        _print([oms.replace_order(conn, order_id, changes, uuid4(), _time(as_of))])


@app.command()
def settle(
    order_id: OrderId,
    status: Annotated[str, typer.Argument(help="cancelled, rejected or expired.")],
    reason: Annotated[str, typer.Option(help="Why you know.")],
) -> None:
    """End an order whose venue will never answer for it."""
    from tsdb_trader.api import reconciliation

    with connected() as conn:
        reconciliation.settle_order(conn, order_id, status, reason)


@app.command()
def verify(
    seals: Annotated[
        Path | None,
        typer.Option(help="The seals kept outside; default: the file in the home folder."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Check the order log against itself and its seals; exit status 1 when something is wrong."""
    from tsdb_trader import seals as kept_seals
    from tsdb_trader.api import audit
    from tsdb_trader.config import settings
    from tsdb_trader.errors import InputError

    if seals is not None and not seals.is_file():
        raise InputError(f"{seals}: no such file")
    with connected() as conn:
        path = seals or kept_seals.file_of(conn, settings().home / "seals")
        kept = kept_seals.read(path)
        findings = audit.verify_log(conn, kept)
    if as_json:
        report = {"seals": len(kept), "findings": [asdict(f) for f in findings]}
        typer.echo(json.dumps(report))
    else:
        for finding in findings:
            place = f"order {finding.order_id} event {finding.event_no} seal {finding.seal_no}"
            typer.echo(f"{finding.finding}: {place}: {finding.detail}")
        typer.echo(f"{len(findings)} findings; compared with {len(kept)} seals of {path}")
    raise typer.Exit(1 if findings else 0)


def _print(orders: list[Submitted]) -> None:
    for order in orders:
        reasons = f": {'; '.join(order.reasons)}" if order.reasons else ""
        typer.echo(f"order {order.order_id} is {order.status}{reasons}")
    if any(order.reasons for order in orders):
        raise typer.Exit(1)
