"""`tsdb-trader session open|close|list`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated
from uuid import UUID

import typer

app = typer.Typer(no_args_is_help=True, help="Open, close and list sessions.")


@app.command("open")
def open_session(
    feed: Annotated[str, typer.Option(help="The feed to replay.")],
    start: Annotated[str, typer.Option("--from", help="Start, excluded: 2013-10-08T14:00Z.")],
    end: Annotated[str, typer.Option("--to", help="End, included.")],
    name: Annotated[str, typer.Option(help="A name for people.")] = "replay",
    speed: Annotated[str, typer.Option(help="'max' or a multiple of real time.")] = "max",
    account: Annotated[str, typer.Option(help="The account that trades.")] = "main",
    interval: Annotated[float, typer.Option(help="Seconds per batch.", min=0.001)] = 1.0,
) -> None:
    """Open a replay session and pin the pairs that are valid at its start; prints its id."""
    from tsdb_trader import db
    from tsdb_trader.api import sessions, signal
    from tsdb_trader.errors import InputError
    from tsdb_trader.workers.replay import parse_speed

    parse_speed(speed)
    begin, finish = parse_time(start), parse_time(end)
    with db.connect(application_name="tsdb-trader session") as conn, db.translated():
        session_id = sessions.open_session(
            conn,
            "replay",
            name,
            feed=feed,
            from_ts=begin,
            to_ts=finish,
            batch_interval=timedelta(seconds=interval),
            parameters={"speed": speed},
        )
        if signal.bind_pairs(conn, session_id, account) == 0:
            raise InputError(
                f"no pair of feed {feed} is valid at {begin:%F %T} UTC: "
                "calibrate first, see `tsdb-trader calibrate --help`"
            )
    typer.echo(session_id)


@app.command("close")
def close_session(
    session_id: Annotated[UUID, typer.Argument(help="See `tsdb-trader session list`.")],
) -> None:
    """Close a session as it stands; orders for it are denied from then on."""
    from tsdb_trader import db
    from tsdb_trader.api import sessions

    with db.connect(application_name="tsdb-trader session") as conn, db.translated():
        sessions.close_session(conn, session_id)


@app.command("list")
def list_sessions(
    all_of_them: Annotated[bool, typer.Option("--all", help="Closed ones too.")] = False,
) -> None:
    """List sessions, the oldest first."""
    from tsdb_trader import db
    from tsdb_trader.api import sessions

    with db.connect(application_name="tsdb-trader session", autocommit=True) as conn:
        for s in sessions.sessions(conn, None if all_of_them else "open"):
            typer.echo(
                f"{s.session_id}  {s.kind:8} {s.status:7} {s.name:24} {s.feed or '-':12} "
                f"{s.batches:>7} batches, at {s.as_of or s.from_ts or '-'}"
            )


def parse_time(text: str) -> datetime:
    """Return an instant; a time without a zone is refused, because a guess would be wrong.

    Raises
    ------
    InputError
        The text is no ISO 8601 time with a zone.
    """
    from tsdb_trader.errors import InputError

    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        raise InputError(f"time {text!r}: write it like 2013-10-08T10:00-04:00") from None
    if parsed.tzinfo is None:
        raise InputError(f"time {text!r} has no zone: write it like {text}-04:00 or {text}Z")
    return parsed.astimezone(UTC)
