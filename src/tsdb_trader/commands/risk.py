"""`tsdb-trader risk kill|halt|reduce|resume|states|limits|set-limit|disable|enable`."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import timedelta
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Annotated
from uuid import uuid4

import typer

if TYPE_CHECKING:
    from tsdb_trader.api.risk import Scope

app = typer.Typer(
    no_args_is_help=True, help="The kill switch, trading states, limits, disabled strategies."
)

ScopeOption = Annotated[
    list[str] | None,
    typer.Option(
        "--scope", help='{"account": "main"} or account=main; all have to match.', metavar="SCOPE"
    ),
]
Reason = Annotated[str, typer.Option(help="Why; it goes into the audit.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command()
def kill(
    reason: Reason,
    scope: ScopeOption = None,
    yes: Yes = False,
    as_of: Annotated[str | None, typer.Option(help="Session time, if known.")] = None,
) -> None:
    """Halt a scope and cancel every order of it at once; without one, everything."""
    from tsdb_trader.api import risk
    from tsdb_trader.commands.order import connected
    from tsdb_trader.commands.session import parse_time

    wanted = parse_scope(scope)
    at = None if as_of is None else parse_time(as_of)
    if not wanted and not yes:
        typer.confirm("Halt everything and cancel every order of every account?", abort=True)
    with connected() as conn:
        found = risk.kill(conn, wanted, reason, uuid4(), at)
    typer.echo(f"{name_scope(wanted)} is halted, {len(found)} orders found")
    for order in found:
        reasons = f": {'; '.join(order.reasons)}" if order.reasons else ""
        typer.echo(f"order {order.order_id} is {order.status}{reasons}")


@app.command()
def halt(reason: Reason, scope: ScopeOption = None, yes: Yes = False) -> None:
    """Deny every new order of a scope; what works at venues stays there."""
    wanted = parse_scope(scope)
    if not wanted and not yes:
        typer.confirm("Halt everything?", abort=True)
    _set_state(wanted, "halted", reason)


@app.command()
def reduce(reason: Reason, scope: ScopeOption = None, yes: Yes = False) -> None:
    """Deny the orders of a scope that do not reduce risk."""
    wanted = parse_scope(scope)
    if not wanted and not yes:
        typer.confirm("Let everything only reduce risk?", abort=True)
    _set_state(wanted, "reducing", reason)


@app.command()
def resume(reason: Reason, scope: ScopeOption = None) -> None:
    """Make exactly this scope active again; exit status 1 when it was."""
    _set_state(parse_scope(scope), "active", reason)


@app.command()
def states(
    all_of_them: Annotated[bool, typer.Option("--all", help="Those that ended too.")] = False,
    as_json: Json = False,
) -> None:
    """List the trading states that are not active, the oldest first."""
    from tsdb_trader.api import risk
    from tsdb_trader.commands.order import connected

    with connected() as conn:
        found = risk.states(conn, ended=all_of_them)
    if as_json:
        typer.echo(json.dumps([asdict(one) for one in found], default=str))
        return
    for one in found:
        end = f", until {one.until:%F %T} by {one.ended_by}: {one.end_reason}" if one.until else ""
        typer.echo(
            f"{name_scope(one.scope)} {one.state} since {one.since:%F %T} by {one.set_by}: "
            f"{one.reason}{end}"
        )


@app.command()
def limits(
    control: Annotated[str | None, typer.Argument(help="Of one control alone.")] = None,
    as_json: Json = False,
) -> None:
    """List the limits that are set."""
    from tsdb_trader.api import risk
    from tsdb_trader.commands.order import connected

    with connected() as conn:
        found = risk.limits(conn, control)
    if as_json:
        typer.echo(json.dumps([asdict(one) for one in found], default=str))
        return
    for one in found:
        window = f" in {one.period}" if one.period else ""
        begin = f" from {one.valid_from:%F %T}" if one.valid_from else ""
        end = f" to {one.valid_to:%F %T}" if one.valid_to else ""
        typer.echo(
            f"{one.control:<20} {name_scope(one.scope)} {one.value} {one.unit}{window}{begin}{end} "
            f"({one.set_by}: {one.reason})"
        )


@app.command("set-limit")
def set_limit(
    control: Annotated[str, typer.Argument(help="See `tsdb-trader risk limits`.")],
    value: Annotated[str, typer.Argument(help="In the control's unit; none withdraws it.")],
    reason: Reason,
    scope: ScopeOption = None,
    begin: Annotated[
        str | None, typer.Option("--from", help="Session time: 2013-10-08T14:00Z.")
    ] = None,
    end: Annotated[str | None, typer.Option("--to", help="Session time, excluded.")] = None,
    period: Annotated[
        float | None, typer.Option(help="Seconds, of a control that counts over time.")
    ] = None,
) -> None:
    """Set a limit for a scope; without one, for everything."""
    from tsdb_trader.api import risk
    from tsdb_trader.commands.order import connected
    from tsdb_trader.commands.session import parse_time

    wanted, number = parse_scope(scope), _number(value)
    valid_from, valid_to = (None if t is None else parse_time(t) for t in (begin, end))
    with connected() as conn:
        risk.set_limit(
            conn,
            control,
            wanted,
            number,
            reason,
            valid_from=valid_from,
            valid_to=valid_to,
            period=None if period is None else timedelta(seconds=period),
        )


@app.command()
def disable(
    strategy: Annotated[str, typer.Argument(help="Its name.")],
    reason: Reason,
) -> None:
    """Deny every order of a strategy until it is enabled; exit status 1 when it was disabled."""
    _set_strategy(strategy, enabled=False, reason=reason)


@app.command()
def enable(
    strategy: Annotated[str, typer.Argument(help="Its name.")],
    reason: Reason,
) -> None:
    """Let a disabled strategy trade again; exit status 1 when it was enabled."""
    _set_strategy(strategy, enabled=True, reason=reason)


def parse_scope(given: list[str] | None) -> Scope:
    """Return a scope written as a JSON object, or as key=value, or as several of either.

    Raises
    ------
    InputError
        A part is neither, or two parts contradict each other.
    """
    from tsdb_trader.errors import InputError

    scope: Scope = {}
    for text in given or []:
        if text.lstrip().startswith("{"):
            try:
                part = json.loads(text)
            except json.JSONDecodeError as error:
                raise InputError(f"--scope {text}: {error}") from None
        else:
            key, equals, value = text.partition("=")
            if not equals:
                raise InputError(f"--scope {text}: write it like account=main")
            part = {key: value}
        for key, value in part.items():
            if scope.setdefault(key, value) != value:
                raise InputError(f"--scope: {key} is {scope[key]} and {value}")
    return scope


def name_scope(scope: Scope) -> str:
    """Return a scope as people read it."""
    return " ".join(f"{key}={value}" for key, value in scope.items()) or "everything"


def _number(text: str) -> Decimal | None:
    from tsdb_trader.errors import InputError

    if text == "none":
        return None
    try:
        return Decimal(text)
    except InvalidOperation:
        raise InputError(f"value {text!r} is no number: write none to withdraw a limit") from None


def _set_state(scope: Scope, state: str, reason: str) -> None:
    from tsdb_trader.api import risk
    from tsdb_trader.commands.order import connected

    with connected() as conn:
        changed = risk.set_state(conn, scope, state, reason)
    if changed is None:
        typer.echo(f"{name_scope(scope)} was active")
        raise typer.Exit(1)
    typer.echo(f"{name_scope(scope)} is {state}")


def _set_strategy(strategy: str, *, enabled: bool, reason: str) -> None:
    from tsdb_trader.api import risk
    from tsdb_trader.commands.order import connected

    with connected() as conn:
        changed = risk.set_strategy(conn, strategy, enabled=enabled, reason=reason)
    state = "enabled" if enabled else "disabled"
    typer.echo(f"strategy {strategy} {'is' if changed else 'was'} {state}")
    if not changed:
        raise typer.Exit(1)
