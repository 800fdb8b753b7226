"""`tsdb-trader rule list|show|save|enable|disable|scan|matches`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import typer

from tsdb_trader.errors import InputError

if TYPE_CHECKING:
    from tsdb_trader.api.rules import Match

app = typer.Typer(no_args_is_help=True, help="Rules over ticks and news, and what they found.")
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Name = Annotated[str, typer.Argument(help="Of `tsdb-trader rule list`.")]


@app.command("list")
def show_rules(as_json: Json = False) -> None:
    """List the current version of every rule."""
    from tsdb_trader.api import rules
    from tsdb_trader.commands.order import connected

    with connected() as conn:
        found = rules.rules(conn)
    if as_json:
        typer.echo(json.dumps([asdict(one) for one in found], default=str))
        return
    for one in found:
        typer.echo(
            f"{one.rule:<24} v{one.version} {'enabled ' if one.enabled else 'disabled'} "
            f"matches={one.matches} errors={one.errors} {one.description}".rstrip()
        )


@app.command()
def show(rule: Name, as_json: Json = False) -> None:
    """Show a rule's definition."""
    from tsdb_trader.api import rules
    from tsdb_trader.commands.order import connected

    with connected() as conn:
        found = rules.rule(conn, rule)
    if as_json:
        typer.echo(json.dumps(asdict(found), default=str))
        return
    state = "enabled" if found.enabled else "disabled"
    typer.echo(f"{found.rule}, version {found.version}, {state}: {found.description}")
    typer.echo(f"valid from {found.valid_from} to {found.valid_to}, saved by {found.saved_by}")
    typer.echo(json.dumps(found.definition, indent=2))


@app.command()
def save(
    rule: Annotated[str, typer.Argument(help="Its name: a-z, 0-9, _ . -")],
    definition: Annotated[str, typer.Argument(help="A JSON file, or JSON; docs/rules.md.")],
    description: Annotated[str, typer.Option(help="What it is for.")] = "",
    enable: Annotated[
        bool | None,
        typer.Option("--enable/--disable", help="Default: as before, a new one enabled."),
    ] = None,
) -> None:
    """Check, compile and save a rule, as a new version where there is one of that name."""
    from tsdb_trader.api import rules
    from tsdb_trader.commands.order import connected

    wanted = _read(definition)
    with connected() as conn:
        rules.save_rule(conn, rule, wanted, description, enable)
        saved = rules.rule(conn, rule)
    state = "enabled" if saved.enabled else "disabled"
    typer.echo(f"rule {rule} is version {saved.version}, {state}")


@app.command()
def enable(rule: Name) -> None:
    """Have a rule evaluated from the next batch on, also where its errors had ended it."""
    from tsdb_trader.api import rules
    from tsdb_trader.commands.order import connected

    with connected() as conn:
        changed = rules.enable_rule(conn, rule)
    typer.echo(f"rule {rule} {'is' if changed else 'was'} enabled")


@app.command()
def disable(rule: Name) -> None:
    """Have a rule evaluated no more, from the next batch on."""
    from tsdb_trader.api import rules
    from tsdb_trader.commands.order import connected

    with connected() as conn:
        changed = rules.disable_rule(conn, rule)
    typer.echo(f"rule {rule} {'is' if changed else 'was'} disabled")


@app.command()
def scan(
    rule: Name,
    session: Annotated[UUID, typer.Argument(help="Of `tsdb-trader session list`.")],
    version: Annotated[int | None, typer.Option(help="Default: the current one.")] = None,
    as_json: Json = False,
) -> None:
    """Print what a rule finds in a session's stored ticks and headlines; nothing is recorded."""
    from tsdb_trader.api import rules
    from tsdb_trader.commands.order import connected

    with connected() as conn:
        found = rules.scan_rules(conn, rule, session, version)
    _print(found, as_json)


@app.command()
def matches(
    rule: Annotated[str | None, typer.Option(help="Of this rule.")] = None,
    session: Annotated[UUID | None, typer.Option(help="Of this session.")] = None,
    limit: Annotated[int, typer.Option(help="The last so many.", min=1)] = 100,
    as_json: Json = False,
) -> None:
    """Print recorded matches, the oldest first."""
    from tsdb_trader.api import rules
    from tsdb_trader.commands.order import connected

    with connected() as conn:
        if rule is not None:
            rules.rule(conn, rule)
        found = rules.matches(conn, rule=rule, session_id=session, limit=limit)
    _print(found, as_json)


def _read(text: str) -> dict[str, Any]:
    path = Path(text)
    is_file = not text.lstrip().startswith(("{", "[")) or path.is_file()
    try:
        found = json.loads(path.read_text() if is_file else text)
    except OSError as error:
        raise InputError(f"cannot read {text}: {error.strerror or error}") from error
    except ValueError as error:
        raise InputError(f"the definition is no JSON: {error}") from error
    if not isinstance(found, dict):
        raise InputError("the definition must be a JSON object")
    return found


def _print(found: Sequence[Match], as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps([asdict(one) for one in found], default=str))
        return
    for one in found:
        values = " ".join(
            f"{name}={value:g}" if isinstance(value, float) else f"{name}={value}"
            for event in one.events[-1:]
            for name, value in event.get("values", {}).items()
        )
        typer.echo(
            f"{one.as_of:%Y-%m-%dT%H:%M:%S.%fZ} {one.rule} v{one.version} "
            f"{one.symbol or '-'} batch {one.batch_no} {values}".rstrip()
        )
