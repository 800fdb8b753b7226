"""`tsdb-trader ref load|load-lean|calendar|sectors|status`."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tsdb_trader.errors import InputError

if TYPE_CHECKING:
    from tsdb_trader.refdata.upload import Report

app = typer.Typer(
    no_args_is_help=True, help="Reference data: calendars, symbols, corporate actions, indices."
)


class Known(StrEnum):
    """From when on facts without `known_at` count as known."""

    NOW = "now"
    EFFECTIVE = "effective"


@app.command("load")
def load(
    kind: Annotated[
        str,
        typer.Argument(
            help="symbols, listings, tick_sizes, lot_sizes, fees, index_members, splits, "
            "dividends or spin_offs."
        ),
    ],
    path: Annotated[Path, typer.Argument(help="A CSV file; its header names columns of ref.KIND.")],
    known: Annotated[
        Known,
        typer.Option(
            help="Rows without known_at are known from now on, or from their own date on."
        ),
    ] = Known.NOW,
    register: Annotated[
        bool, typer.Option("--register", help="Register symbols that are not yet.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Record the facts of a CSV file: all of them, or none if a row cannot be used."""
    from tsdb_trader import db, schema
    from tsdb_trader.refdata import upload

    schema.check_current()
    with db.connect(autocommit=True, application_name="tsdb-trader ref") as conn:
        report = upload.load_csv(
            conn, kind, path, effective=known is Known.EFFECTIVE, register=register
        )
    _show(report, as_json)


@app.command("load-lean")
def load_lean(
    folder: Annotated[Path, typer.Argument(help="Has the folders factor_files and map_files.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Record the symbols, listings, splits and dividends of LEAN's map and factor files."""
    from tsdb_trader import db, schema
    from tsdb_trader.refdata import upload

    schema.check_current()
    with db.connect(autocommit=True, application_name="tsdb-trader ref") as conn:
        report = upload.load_lean(conn, folder)
    _show(report, as_json)


@app.command("calendar")
def calendar(
    exchanges: Annotated[list[str], typer.Argument(help="Of exchange-calendars: XNYS, XHKG.")],
    first: Annotated[
        str | None, typer.Option("--from", help="First date (default: 2000-01-01).")
    ] = None,
    last: Annotated[
        str | None, typer.Option("--to", help="Last date (default: a year from now).")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Load the sessions of exchanges; what differs from before supersedes it."""
    from tsdb_trader import db, schema
    from tsdb_trader.refdata import upload

    schema.check_current()
    default = upload.default_range(datetime.now(UTC).date())
    dates = (_date(first, default[0]), _date(last, default[1]))
    with db.connect(application_name="tsdb-trader ref") as conn:
        done = [upload.load_calendar(conn, exchange, *dates) for exchange in exchanges]
    if as_json:
        typer.echo(json.dumps(done))
        return
    for counts in done:
        typer.echo("  ".join(f"{name} {count}" for name, count in counts.items()))


@app.command("sectors")
def sectors(
    path: Annotated[Path, typer.Argument(help="A CSV file with the columns symbol,sector.")],
    known_only: Annotated[
        bool, typer.Option("--known-only", help="Leave out symbols that are not registered.")
    ] = False,
) -> None:
    """Say which sector instruments are in: the latest of `calibrate pairs --sectors FILE`."""
    from tsdb_trader import db, schema
    from tsdb_trader.api import reference
    from tsdb_trader.commands.calibrate_daily import read_sectors

    schema.check_current()
    given = {symbol: history[-1][1] for symbol, history in read_sectors(path).items()}
    with db.connect(application_name="tsdb-trader ref") as conn:
        known = reference.instrument_ids(conn, list(given)) if known_only else given
        count = reference.set_sectors(
            conn, {s: sector for s, sector in given.items() if s in known}
        )
    typer.echo(f"sectors of {count} instruments, {len(given) - count} left out")


@app.command("status")
def status(
    symbol: Annotated[str, typer.Argument(help="The instrument's present symbol.")],
    status: Annotated[str, typer.Argument(help="active, inactive, restricted or halted.")],
    reason: Annotated[str, typer.Option(help="Why; it stays in ops.audit.")],
) -> None:
    """Say whether an instrument may be traded, from now on."""
    from tsdb_trader import db, schema
    from tsdb_trader.api import reference

    schema.check_current()
    with db.connect(application_name="tsdb-trader ref") as conn:
        reference.set_status(conn, symbol, status, reason)
    typer.echo(f"{symbol} is {status}")


def _date(text: str | None, default: date) -> date:
    try:
        return default if text is None else date.fromisoformat(text)
    except ValueError:
        raise InputError(f"{text!r} is no date: write it as 2024-12-31") from None


def _show(report: Report, as_json: bool) -> None:
    if as_json:
        facts = {kind: dict(counts) for kind, counts in report.facts.items()}
        typer.echo(
            json.dumps({"facts": facts, "instruments": report.instruments, "notes": report.notes})
        )
        return
    for kind, counts in report.facts.items():
        done = ", ".join(f"{n:,} {outcome}" for outcome, n in sorted(counts.items()))
        typer.echo(f"{kind}: {done}")
    typer.echo(f"instruments registered: {report.instruments:,}")
    for note in report.notes:
        typer.echo(f"note: {note}")
