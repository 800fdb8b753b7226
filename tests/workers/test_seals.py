"""Seals outside the database, and the commands that look at orders, breaks and the log."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from pathlib import Path

import psycopg
import pytest

from factories import Venue, open_session, order, set_quote, submit
from tsdb_trader import seals
from tsdb_trader.errors import InputError


@pytest.fixture
def session(conn: psycopg.Connection) -> uuid.UUID:
    session_id = open_session(conn)
    set_quote(conn, session_id)
    return session_id


def test_seals_are_kept_once_and_in_order(conn, session, tmp_path):
    assert seals.keep(conn, tmp_path) == 0
    submit(conn, order(session))
    assert seals.keep(conn, tmp_path) == 1
    assert seals.keep(conn, tmp_path) == 0
    submit(conn, order(session))
    assert seals.keep(conn, tmp_path) == 1
    kept = seals.read(seals.file_of(conn, tmp_path))
    assert [s.seal_no for s in kept] == [1, 2]


def test_seal_that_a_crash_kept_from_the_file_is_written_the_next_time(conn, session, tmp_path):
    submit(conn, order(session))
    conn.execute("select oms.seal_log()")
    submit(conn, order(session))
    assert seals.keep(conn, tmp_path) == 2


def test_line_cut_short_by_a_crash_is_written_anew(conn, session, tmp_path):
    submit(conn, order(session))
    seals.keep(conn, tmp_path)
    submit(conn, order(session))
    seals.keep(conn, tmp_path)
    path = seals.file_of(conn, tmp_path)
    whole = path.read_bytes()
    path.write_bytes(whole[:-20])
    assert [s.seal_no for s in seals.read(path)] == [1]
    assert seals.keep(conn, tmp_path) == 1
    assert path.read_bytes() == whole


@pytest.mark.parametrize("line", ["", "{}", "x", '{"seal_no": 1}', "[]"])
def test_damaged_file_is_refused_with_its_line(tmp_path, line):
    path = tmp_path / "s.jsonl"
    path.write_text(line + "\n")
    with pytest.raises(InputError, match="line 1 is no seal"):
        seals.read(path)


def test_file_that_cannot_be_written_is_one_error(conn, session, tmp_path):
    submit(conn, order(session))
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be"):
        seals.keep(conn, tmp_path / "file")


# Commands -----------------------------------------------------------------------------------------


@pytest.fixture
def cli(database: str, tmp_path: Path):
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "tsdb_trader", *arguments],
            env=os.environ
            | {"TSDB_TRADER_DATABASE_URL": database, "TSDB_TRADER_HOME": str(tmp_path)},
            capture_output=True,
            text=True,
            check=False,
        )

    return run


def test_orders_are_listed_replaced_cancelled_and_settled(conn, session, cli):
    ids = [submit(conn, order(session))[0][0] for _ in range(3)]
    Venue(conn, ids[0]).report("new")
    as_of = ("--as-of", "2013-10-08T14:30Z")
    listed = json.loads(cli("order", "list", "--json").stdout)
    assert [o["order_id"] for o in listed] == ids[::-1]
    done = cli("order", "replace", str(ids[0]), "--set", "quantity=150", *as_of)
    assert done.stdout == f"order {ids[0]} is pending_replace\n", done.stderr
    refused = cli("order", "replace", str(ids[0]), "--set", "quantity=-1", *as_of)
    assert refused.returncode == 5
    assert "quantity -1 is not a positive number" in refused.stderr
    assert cli("order", "cancel", "999", *as_of).returncode == 5
    assert "pending_cancel" in cli("order", "cancel", str(ids[1]), *as_of).stdout
    settled = cli("order", "settle", str(ids[1]), "cancelled", "--reason", "test")
    assert settled.returncode == 0, settled.stderr
    everything = cli("order", "cancel-all", "--scope", "symbol=IBM", *as_of)
    assert everything.stdout.count("pending_cancel") == 2, everything.stderr


def test_log_is_verified_and_a_change_is_told(conn, session, cli, connect_as):
    submit(conn, order(session))
    assert cli("order", "verify").returncode == 0
    connect_as("postgres").execute("update oms.orders set event_count = 7")
    wrong = cli("order", "verify")
    assert wrong.returncode == 1
    assert "cut_off: order" in wrong.stdout


def test_clearing_file_makes_breaks_that_are_resolved(conn, session, cli, tmp_path):
    order_id = submit(conn, order(session))[0][0]
    Venue(conn, order_id).fill(100)
    path = tmp_path / "c.csv"
    line = f"2013-10-08,E{order_id}-1,IBM,B,90,100"
    path.write_text(f"trade_date,exec_id,symbol,side,quantity,price\n{line}\n")
    differs = cli("breaks", "trades", str(path), "--venue", "SIM")
    assert (differs.returncode, differs.stdout) == (1, "1 trades of 1 days, 1 differences\n")
    [found] = json.loads(cli("breaks", "list", "--json").stdout)
    assert found["kind"] == "execution_content"
    resolve = ("breaks", "resolve", str(found["break_id"]))
    assert cli(*resolve, "guess", "--reason", "x").returncode == 5
    done = cli(*resolve, "take_theirs", "--reason", "typed wrong at the venue")
    assert done.returncode == 0, done.stderr
    assert cli("breaks", "trades", str(path), "--venue", "SIM").returncode == 0
    path.write_text("account,symbol,quantity\nmain,IBM,90\n")
    same = cli("breaks", "positions", str(path), "--session", str(session))
    assert same.stdout == "1 positions, 0 differences\n"
