"""``tsdb-trader db``: the private server."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from tsdb_trader import embedded
from tsdb_trader.errors import ConfigurationError

app = typer.Typer(no_args_is_help=True, help="The private database server.")
_STOPPED = 3

Role = Annotated[str | None, typer.Option(help="Role, with or without tsdb_ (default: the owner).")]


def _show(status: embedded.Status) -> None:
    out = Console(soft_wrap=True, highlight=False)
    if status.state == "external":
        out.print("external: the server of TSDB_TRADER_DATABASE_URL")
        return
    out.print(status.state)
    details = {
        "process": status.pid,
        "port": status.port,
        "socket": status.socket_dir,
        "data": status.data_dir,
        "programs": status.programs,
    }
    for name, value in details.items():
        if value is not None:
            out.print(f"  {name:<9}{value}")


@app.command()
def start() -> None:
    """Start the private server; the first time, download and set it up."""
    embedded.start()
    _show(embedded.status())


@app.command()
def stop(
    immediate: Annotated[
        bool, typer.Option("--immediate", help="At once, as in a crash; the next start recovers.")
    ] = False,
) -> None:
    """Stop the private server."""
    typer.echo("stopped" if embedded.stop(immediate=immediate) else "it was not running")


@app.command()
def status() -> None:
    """Show whether the private server runs (exit status 3 if not)."""
    found = embedded.status()
    _show(found)
    if found.state not in ("running", "external"):
        raise typer.Exit(_STOPPED)


@app.command()
def url(
    role: Role = None,
    database: Annotated[str | None, typer.Option(help="Another database of the server.")] = None,
    tcp: Annotated[bool, typer.Option("--tcp", help="Loopback, not the Unix socket.")] = False,
) -> None:
    """Print a connection URL, password included; starts the server if needed."""
    typer.echo(embedded.ensure_running().url(role, database, tcp))


@app.command()
def prepare(
    passwords: Annotated[
        Path, typer.Option(help="Folder with one file per role, named like it: its password.")
    ],
) -> None:
    """Give a server of yours our roles and database, before its first `migrate`."""
    from tsdb_trader.config import settings
    from tsdb_trader.embedded import foreign

    database = foreign.prepare(settings(), passwords)
    typer.echo(f"{database} is prepared: run tsdb-trader migrate")


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def psql(context: typer.Context, role: Role = None) -> None:
    """Run psql on the database; further arguments are psql's."""
    raise typer.Exit(embedded.psql(context.args, role))


@app.command("add-user")
def add_user(
    name: Annotated[str, typer.Argument(help="The person's login: small letters, digits, _.")],
    role: Annotated[list[str], typer.Option(help="trader, risk, ops, quant, readonly; several.")],
    password_file: Annotated[
        Path | None, typer.Option(help="Holds the password (default: a random one, shown once).")
    ] = None,
) -> None:
    """Create a personal login, so that the audit says who did what."""
    password = None
    if password_file is not None:
        try:
            password = password_file.read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "not a text"
            raise ConfigurationError(f"{password_file}: {reason}") from None
    made = embedded.add_user(name, role, password)
    if password is None:
        typer.echo(made)


@app.command("drop-user")
def drop_user(name: Annotated[str, typer.Argument(help="The person's login.")]) -> None:
    """Remove a personal login and end its sessions; what it did stays in ops.audit."""
    embedded.drop_user(name)


@app.command()
def reset(
    yes: Annotated[bool, typer.Option("--yes", help="Really delete.")] = False,
    purge: Annotated[bool, typer.Option("--purge", help="Remove the server as well.")] = False,
) -> None:
    """Recreate the database empty, or with --purge remove the private server wholly."""
    if not yes:
        lost = "the private server with all its data" if purge else "everything in the database"
        raise ConfigurationError(f"this deletes {lost}: repeat it with --yes")
    embedded.reset(purge=purge)
    typer.echo("removed" if purge else "the database is new and empty: run tsdb-trader migrate")
