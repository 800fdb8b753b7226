"""`tsdb-trader portfolio positions|lots|pnl|equity|book-cash`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, fields
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Annotated, Any, cast
from uuid import UUID

import typer

if TYPE_CHECKING:
    from tsdb_trader.api.portfolio import Method

app = typer.Typer(no_args_is_help=True, help="Positions, lots, P&L by day, equity and cash.")

Session = Annotated[UUID, typer.Option(help="The session; see `tsdb-trader session list`.")]
AsOf = Annotated[str | None, typer.Option(help="Session time; all there is by default.")]
Known = Annotated[str | None, typer.Option(help="As known at this time; all that is known.")]
MethodName = Annotated[str, typer.Option(help="average, fifo, lifo or specific.")]
Day = Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="A trading date.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def _time(text: str | None) -> datetime | None:
    from tsdb_trader.commands.session import parse_time

    return None if text is None else parse_time(text)


def _cell(value: Any) -> str:
    if isinstance(value, Decimal):
        return f"{value.normalize():f}" if value else "0"
    return "-" if value is None else str(value)


def _print(rows: Sequence[Any], as_json: bool) -> None:
    """Print rows as JSON, or as a table with a `-` for what is not known."""
    if as_json:
        typer.echo(json.dumps([asdict(row) for row in rows], default=str))
        return
    if not rows:
        typer.echo("nothing")
        return
    names = [field.name for field in fields(rows[0])]
    cells = [names, *([_cell(getattr(row, name)) for name in names] for row in rows)]
    widths = [max(len(row[n]) for row in cells) for n in range(len(names))]
    for row in cells:
        line = "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True))
        typer.echo(line.rstrip())


@app.command()
def positions(
    session: Session,
    as_of: AsOf = None,
    known_at: Known = None,
    method: MethodName = "average",
    as_json: Json = False,
) -> None:
    """Print positions as of a time, as known at a time."""
    from tsdb_trader.api import portfolio
    from tsdb_trader.commands.order import connected

    with connected() as conn:
        found = portfolio.positions_at(
            conn, session, _time(as_of), _time(known_at), cast("Method", method)
        )
    _print(found, as_json)


@app.command()
def lots(
    session: Session,
    as_of: AsOf = None,
    known_at: Known = None,
    method: MethodName = "fifo",
    as_json: Json = False,
) -> None:
    """Print open lots as of a time, as known at a time."""
    from tsdb_trader.api import portfolio
    from tsdb_trader.commands.order import connected

    with connected() as conn:
        found = portfolio.lots(conn, session, _time(as_of), _time(known_at), cast("Method", method))
    _print(found, as_json)


@app.command()
def pnl(
    session: Session,
    first: Day = None,
    last: Day = None,
    known_at: Known = None,
    as_json: Json = False,
) -> None:
    """Print the P&L by day, account, strategy and instrument."""
    from tsdb_trader.api import portfolio
    from tsdb_trader.commands.order import connected

    with connected() as conn:
        found = portfolio.pnl_daily(
            conn,
            session,
            first.date() if first else None,
            last.date() if last else None,
            _time(known_at),
        )
    _print(found, as_json)


@app.command()
def equity(
    session: Session, last: Day = None, known_at: Known = None, as_json: Json = False
) -> None:
    """Print cash, market value, equity and drawdown by day."""
    from tsdb_trader.api import portfolio
    from tsdb_trader.commands.order import connected

    with connected() as conn:
        found = portfolio.equity(conn, session, last.date() if last else None, _time(known_at))
    _print(found, as_json)


@app.command("book-cash")
def book_cash(
    account: Annotated[str, typer.Argument(help="Whose.")],
    kind: Annotated[str, typer.Argument(help="deposit, withdrawal, funding, interest, fee …")],
    amount: Annotated[str, typer.Argument(help="Received; negative (after --): paid.")],
    currency: Annotated[str, typer.Argument(help="ISO 4217.")],
    session: Session,
    reference: Annotated[str, typer.Option(help="Booked once per account and reference.")],
    strategy: Annotated[str | None, typer.Option(help="Whose position it is about.")] = None,
    symbol: Annotated[str | None, typer.Option(help="What position it is about.")] = None,
    as_of: AsOf = None,
    reason: Annotated[str, typer.Option(help="Why.")] = "",
) -> None:
    """Book cash that no execution and no corporate action explains; print the entry's number."""
    from tsdb_trader.api import portfolio
    from tsdb_trader.commands.order import connected
    from tsdb_trader.errors import InputError

    try:
        number = Decimal(amount)
    except InvalidOperation:
        raise InputError(f'the amount "{amount}" is no number') from None
    with connected() as conn:
        entry = portfolio.book_cash(
            conn,
            session,
            account,
            kind,
            currency,
            number,
            _time(as_of) or datetime.now(UTC),
            reference,
            strategy=strategy,
            symbol=symbol,
            reason=reason,
        )
    typer.echo(str(entry))
