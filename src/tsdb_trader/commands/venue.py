"""`tsdb-trader venue ...`: what operators ask of simulated venues, and what they get wrong."""

from __future__ import annotations

import time
from typing import Annotated, Any

import typer

app = typer.Typer(no_args_is_help=True, help="Commands and faults of simulated venues.")

Venue = Annotated[str, typer.Argument(help="See `tsdb-trader venue list`.")]
Symbol = Annotated[str, typer.Option(help="One instrument; without it all.")]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", help="One value, such as milliseconds=200.", metavar="K=V"),
]
_ANSWER_S = 5.0
_POLL_S = 0.05


@app.command("list")
def list_venues() -> None:
    """Show the simulated venues and how they work."""
    from tsdb_trader import db
    from tsdb_trader.api import venue_operators as api

    with db.connect(application_name="tsdb-trader venue", autocommit=True) as conn:
        for settings in api.all_settings(conn):
            typer.echo(
                f"{settings.venue:16} {settings.matching:10} self-trade {settings.self_trade}, "
                f"fees {settings.maker_fee}/{settings.taker_fee}, latency {settings.latency_ms} ms"
            )


@app.command()
def fault(
    venue: Venue,
    kind: Annotated[
        str,
        typer.Argument(
            help="delay_ack, drop, duplicate, reorder, bust, cancel, gap, lost_state, logout, "
            "silence."
        ),
    ],
    participant: Annotated[str, typer.Option(help="Confine it to one CompID.")] = "",
    values: Set = None,
) -> None:
    """Let a venue misbehave once, at the next occasion; prints the fault's number."""
    from tsdb_trader import db
    from tsdb_trader.api import venue_operators as api

    parameters = _parameters(values) | ({"participant": participant} if participant else {})
    with db.connect(application_name="tsdb-trader venue", autocommit=True) as conn:
        typer.echo(api.inject_fault(conn, venue, kind, parameters))


@app.command()
def halt(venue: Venue, symbol: Symbol = "") -> None:
    """Stop trading; orders stay, and may be cancelled."""
    _send(venue, "halt", {"symbol": symbol})


@app.command()
def resume(venue: Venue, symbol: Symbol = "") -> None:
    """Go on trading after a halt, or after an auction, which is held first."""
    _send(venue, "resume", {"symbol": symbol})


@app.command()
def auction(venue: Venue, symbol: Symbol = "") -> None:
    """Collect orders for an auction, which `resume` holds."""
    _send(venue, "auction", {"symbol": symbol})


@app.command()
def bust(venue: Venue, exec_id: Annotated[str, typer.Argument(help="ExecID (17).")]) -> None:
    """Take an execution back."""
    _send(venue, "bust", {"exec_id": exec_id})


@app.command()
def correct(
    venue: Venue,
    exec_id: Annotated[str, typer.Argument(help="ExecID (17).")],
    quantity: Annotated[str, typer.Option(help="The right quantity.")] = "",
    price: Annotated[str, typer.Option(help="The right price.")] = "",
) -> None:
    """Correct an execution."""
    _send(venue, "correct", {"exec_id": exec_id, "quantity": quantity, "price": price})


@app.command()
def order(
    venue: Venue,
    action: Annotated[
        str, typer.Argument(help="cancel, suspend, release, stop, restate, done_for_day.")
    ],
    cl_ord_id: Annotated[str, typer.Argument(help="ClOrdID (11).")],
    participant: Annotated[str, typer.Option(help="Whose, if several have one.")] = "",
    quantity: Annotated[str, typer.Option(help="restate: the new quantity.")] = "",
    limit_price: Annotated[str, typer.Option(help="restate: the new limit.")] = "",
) -> None:
    """Do something to an order that its participant did not ask for."""
    given = {
        "cl_ord_id": cl_ord_id,
        "participant": participant,
        "quantity": quantity,
        "limit_price": limit_price,
    }
    _send(venue, action, given)


@app.command()
def configure(venue: Venue, values: Set = None) -> None:
    """Change settings of a venue, which its process reads when it starts; K= sets none."""
    from tsdb_trader import db
    from tsdb_trader.api import venue_operators as api

    with db.connect(application_name="tsdb-trader venue", autocommit=True) as conn:
        given = {name: value or None for name, value in _parameters(values).items()}
        api.configure(conn, venue, given)


@app.command()
def participant(
    venue: Venue,
    comp_id: Annotated[str, typer.Argument(help="The participant's CompID.")],
    username: Annotated[str, typer.Option(help="Username (553).")] = "",
    password: Annotated[
        bool, typer.Option("--password", help="Ask for a password; only its hash is kept.")
    ] = False,
    password_from: Annotated[
        str, typer.Option(help="Where the venue's process finds it: env:NAME or file:PATH.")
    ] = "",
    drop_copy: Annotated[
        bool, typer.Option("--drop-copy", help="Gets a copy of all execution reports.")
    ] = False,
    cancel_on_disconnect: Annotated[
        bool | None, typer.Option(help="Its orders end with its connection.")
    ] = None,
) -> None:
    """Say what a venue knows of a participant; read when the venue's process starts."""
    from tsdb_trader import db
    from tsdb_trader.api import venue_operators as api
    from tsdb_trader.venue.passwords import hash_password

    settings: dict[str, Any] = {
        "username": username or None,
        "password_from": password_from or None,
        "drop_copy": drop_copy,
        "cancel_on_disconnect": cancel_on_disconnect,
    }
    if password:
        entered = typer.prompt("Password", hide_input=True, confirmation_prompt=True)
        settings["password_hash"] = hash_password(entered)
    with db.connect(application_name="tsdb-trader venue", autocommit=True) as conn:
        api.set_participant(conn, venue, comp_id, settings)


def _send(venue: str, kind: str, parameters: dict[str, str]) -> None:
    """Ask a venue, and print what came of it if it answers soon."""
    from tsdb_trader import db
    from tsdb_trader.api import venue_operators as api
    from tsdb_trader.errors import InputError

    given = {name: value for name, value in parameters.items() if value}
    with db.connect(application_name="tsdb-trader venue", autocommit=True) as conn:
        number = api.send_command(conn, venue, kind, given)
        deadline = time.monotonic() + _ANSWER_S
        while (result := api.command_result(conn, number)) is None:
            if time.monotonic() >= deadline:
                typer.echo(f"command {number} waits: see venue.commands")
                return
            time.sleep(_POLL_S)
    if result.startswith("refused"):
        raise InputError(f"{venue} {result}")
    typer.echo(result)


def _parameters(values: list[str] | None) -> dict[str, str]:
    from tsdb_trader.errors import InputError

    pairs = [value.partition("=") for value in values or []]
    for name, separator, _ in pairs:
        if not separator or not name:
            raise InputError(f"{name!r}: write a value as NAME=VALUE")
    return {name: value for name, _, value in pairs}
