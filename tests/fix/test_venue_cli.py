"""`tsdb-trader venue`: commands, faults and participants from the command line."""

from __future__ import annotations

import os
import subprocess
import sys

import psycopg
import pytest

from fix.conftest import Hall
from fix.simvenue.bench import Market
from tsdb_trader.api.venue import Participant
from tsdb_trader.venue.passwords import refusal

pytestmark = pytest.mark.slow
QUOTE = ("100.00", 500, "100.02", 300)


def run(database: str, *arguments: str, status: int = 0, given: str = "") -> str:
    """Run a command and return what it says."""
    done = subprocess.run(
        [sys.executable, "-m", "tsdb_trader", "venue", *arguments],
        capture_output=True,
        text=True,
        check=False,
        input=given,
        env={**os.environ, "TSDB_TRADER_DATABASE_URL": database},
    )
    assert done.returncode == status, done.stderr
    return done.stdout + done.stderr


def test_cli_commands_reach_a_venue_and_print_what_came_of_them(
    hall: Hall, tape: Market, database: str
) -> None:
    tape.batch(("IBM", QUOTE))
    hall.open()
    client = hall.connect()
    order = client.order("1", 400, "100.02")
    fill = [client.message(), client.message()][1]
    assert run(database, "order", "SIM", "suspend", order) == "done\n"
    assert client.states(1) == ["99"]
    assert run(database, "correct", "SIM", fill["17"], "--price", "100") == (
        "corrected to 300 at 100\n"
    )
    assert client.states(1) == ["G9"]
    again = run(database, "bust", "SIM", fill["17"], status=5)
    assert "was taken back or corrected before" in again
    assert run(database, "halt", "SIM", "--symbol", "IBM") == "1 books\n"


def test_cli_arms_faults_and_changes_settings(conn: psycopg.Connection, database: str) -> None:
    number = run(database, "fault", "SIM", "drop", "--set", "after=2", "--participant", "TSDB")
    row = conn.execute("select fault_no, kind, parameters from venue.faults").fetchone()
    assert row == (int(number), "drop", {"after": "2", "participant": "TSDB"})
    assert "knows no fault" in run(database, "fault", "SIM", "fire", status=5)
    assert "write a value as NAME=VALUE" in run(
        database, "fault", "SIM", "drop", "--set", "after", status=5
    )
    run(database, "configure", "SIMPR", "--set", "latency_ms=7")
    assert "latency 7 ms" in run(database, "list")
    assert "no simulated venue" in run(database, "configure", "XNYS", status=5)


def test_cli_keeps_only_the_hash_of_a_password(conn: psycopg.Connection, database: str) -> None:
    run(
        database,
        "participant",
        "SIM",
        "TSDB",
        "--username",
        "trader",
        "--password",
        given="secret\nsecret\n",
    )
    row = conn.execute("select username, password_hash from venue._participants").fetchone()
    assert row is not None
    assert "secret" not in row[1]
    known = Participant("TSDB", username=row[0], password_hash=row[1])
    assert refusal(known, "trader", "secret") is None
