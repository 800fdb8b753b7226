"""What operators ask of simulated venues."""

from __future__ import annotations

from typing import Any, cast

from psycopg.rows import class_row, scalar_row
from psycopg.types.json import Jsonb

from tsdb_trader.api.venue import SETTINGS, VenueSettings
from tsdb_trader.db import Connection, translated


def all_settings(conn: Connection) -> list[VenueSettings]:
    """Return how each venue works."""
    cur = conn.cursor(row_factory=class_row(VenueSettings))
    return cur.execute(f"{SETTINGS} order by venue").fetchall()


def configure(conn: Connection, venue: str, settings: dict[str, Any]) -> None:
    """Change settings of a venue, which its process reads when it starts."""
    with translated():
        conn.execute("select venue.configure(%s, %s)", (venue, Jsonb(settings)))


def set_participant(
    conn: Connection, venue: str, participant: str, settings: dict[str, Any]
) -> None:
    """Say what a venue knows of a participant."""
    with translated():
        conn.execute(
            "select venue.set_participant(%s, %s, %s)", (venue, participant, Jsonb(settings))
        )


def send_command(conn: Connection, venue: str, kind: str, parameters: dict[str, Any]) -> int:
    """Ask something of a venue; return the number of the command."""
    cur = conn.cursor(row_factory=scalar_row)
    with translated():
        row = cur.execute(
            "select venue.send_command(%s, %s, %s)", (venue, kind, Jsonb(parameters))
        ).fetchone()
    return cast("int", row)


def command_result(conn: Connection, command_no: int) -> str | None:
    """Return what came of a command, None while it waits."""
    cur = conn.cursor(row_factory=scalar_row)
    return cur.execute(
        "select result from venue.commands where command_no = %s", (command_no,)
    ).fetchone()


def inject_fault(conn: Connection, venue: str, kind: str, parameters: dict[str, Any]) -> int:
    """Arm a fault of a venue; return its number."""
    cur = conn.cursor(row_factory=scalar_row)
    with translated():
        row = cur.execute(
            "select venue.inject_fault(%s, %s, %s)", (venue, kind, Jsonb(parameters))
        ).fetchone()
    return cast("int", row)
