"""Who may do what: the committed matrix, and that the server holds to it.

After a change of rights that is meant, write the matrix anew and read what changed in it:
``TSDB_TRADER_UPDATE_SNAPSHOT=1 pytest tests/sql/test_access_matrix.py``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import errors, sql

from access_rights import OTHERS, PUBLIC, SCHEMAS, Right, rights
from factories import Venue, open_session, order, set_quote, submit
from tsdb_trader import schema
from tsdb_trader.embedded import Server
from tsdb_trader.embedded.roles import PEOPLE, SETTINGS, UMBRELLAS

Connect = Callable[..., psycopg.Connection[Any]]
MATRIX = Path(__file__).parents[2] / "docs" / "access_matrix.md"
SHOWN = tuple(role for role in OTHERS if role not in UMBRELLAS)
ROLLUP_PART = re.compile(r"market\._?bars_")
PROTECTED = ("oms", "risk")
HEAD = """# Who may do what

Computed from the catalogue by `tests/sql/test_access_matrix.py`, which fails when it and a migrated
database differ; `docs/access.md` says who the roles are and how to write this file anew.

Letters: schemas u use, c create; tables and views r select, a insert, w update, d delete, t truncate,
x reference, g trigger, in upper case where the right is to some columns only; sequences r, w, u use;
functions and procedures x execute. A dot: nothing. Left out: the owner (everything), `tsdb_worker` and
`tsdb_operator` (the sum of their members), everybody (nothing), and the parts of rollups, which
differ between editions and have the rights of their views.
"""


@pytest.fixture
def found(conn: psycopg.Connection[Any]) -> list[Right]:
    return rights(conn)


@pytest.fixture
def traded(conn: psycopg.Connection[Any]) -> None:
    """Let there be an order with a fill, and so a chunk of every hypertable it goes through."""
    session = open_session(conn)
    set_quote(conn, session)
    Venue(conn, submit(conn, order(session))[0][0]).fill(100)


def written(found: list[Right]) -> str:
    """Return the matrix as the file shows it."""
    letters = {(r.kind, r.name, r.role): r.letters for r in found}
    names = sorted({(r.kind, r.name) for r in found if not ROLLUP_PART.match(r.name)})
    lines = [HEAD]
    short = [role.removeprefix("tsdb_") for role in SHOWN]
    for kind in ("schema", "table", "view", "sequence", "function", "procedure", "aggregate"):
        rows = [name for k, name in names if k == kind]
        if not rows:
            continue
        lines += [f"## {kind.capitalize()}s", "", f"| {kind} | {' | '.join(short)} |"]
        lines.append(f"|---|{'---|' * len(short)}")
        for name in rows:
            cells = [letters[kind, name, role] or "." for role in SHOWN]
            lines.append(f"| {name} | {' | '.join(cells)} |")
        lines.append("")
    return "\n".join(lines)


def test_rights_of_every_role_are_those_of_the_committed_matrix(found: list[Right]) -> None:
    text = written(found)
    if os.environ.get("TSDB_TRADER_UPDATE_SNAPSHOT"):
        MATRIX.write_text(text)
    kept = MATRIX.read_text().splitlines()
    gone = [line for line in kept if line not in set(text.splitlines())]
    new = [line for line in text.splitlines() if line not in set(kept)]
    assert (gone, new) == ([], []), f"if these rights are meant: {__doc__}"


def test_rights_of_umbrellas_are_those_of_their_members(found: list[Right]) -> None:
    by_role: dict[str, dict[tuple[str, str], set[str]]] = {}
    for right in found:
        letters = set(right.letters)
        by_role.setdefault(right.role, {})[right.kind, right.name] = letters
    workers = [role for role in SHOWN if role.startswith("tsdb_worker_")]
    for umbrella, members in (("tsdb_worker", workers), ("tsdb_operator", PEOPLE)):
        for key, letters in by_role[umbrella].items():
            together = set().union(*(by_role[member][key] for member in members))
            assert letters == together, (umbrella, key)


def test_everybody_may_nothing(found: list[Right]) -> None:
    ours = [r for r in found if r.role == PUBLIC and r.name != "public"]
    assert [r for r in ours if r.letters] == []
    [(letters,)] = {(r.letters,) for r in found if r.role == PUBLIC and r.name == "public"}
    assert letters == "u", "where TimescaleDB's functions are"


def test_nobody_but_the_owner_writes_orders_and_risk(found: list[Right]) -> None:
    writers = [
        r for r in found
        if r.name.split(".")[0] in PROTECTED and r.kind in ("table", "view", "sequence")
        and set(r.letters.lower()) - {"r"}
    ]  # fmt: skip
    assert writers == []


def test_nobody_but_the_owner_creates_in_a_schema(found: list[Right]) -> None:
    assert [r for r in found if r.kind == "schema" and "c" in r.letters] == []


def test_quants_write_the_schema_of_backtests_and_no_other(found: list[Right]) -> None:
    tables = [r for r in found if r.role == "tsdb_quant" and r.kind in ("table", "view")]
    written_to = {r.name.split(".")[0] for r in tables if set(r.letters.lower()) - {"r"}}
    assert written_to == {"backtest"}
    unread = {r.name for r in tables if r.letters[:1] != "r"}
    assert unread == {"venue._participants"}, "which has the hashes of passwords"


def test_venue_never_reads_orders(found: list[Right]) -> None:
    rows = [r for r in found if r.role == "tsdb_venue" and r.letters]
    assert [r for r in rows if r.name.split(".")[0] in (*PROTECTED, "portfolio", "signal")] == []


def test_dry_run_is_for_everybody_who_reads_and_for_workers(found: list[Right]) -> None:
    callers = {r.role for r in found if r.name.startswith("risk.check_order(") and r.letters}
    assert callers == set(OTHERS) - {"tsdb_venue"}


def test_grants_name_roles_and_no_umbrella() -> None:
    root = schema.root() / "sql"
    wrong = [
        (path, grant)
        for path in schema.manifest()
        for grant in re.findall(r"^grant [^;]+;", (root / path).read_text(), re.M)
        if re.search(r"\b(tsdb_worker|tsdb_operator|public)\b", grant.partition(" to ")[2])
        or " to " not in " ".join(grant.split())
    ]
    assert wrong == [], "name the roles that need it: docs/access.md"


# What is really refused -------------------------------------------------------------------------


REFUSED = (
    errors.InsufficientPrivilege,
    # Views that nobody can write through, and that nobody can truncate.
    errors.ObjectNotInPrerequisiteState,
    errors.WrongObjectType,
)


def relations(conn: psycopg.Connection[Any], *schemas: str) -> list[tuple[str, str]]:
    """Return every table of these schemas, and every chunk of theirs."""
    return conn.execute(
        """select n.nspname, c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace
        where n.nspname = any (%(schemas)s) and c.relkind in ('r', 'p', 'v')
        union
        select chunk_schema, chunk_name from timescaledb_information.chunks
        where hypertable_schema = any (%(schemas)s)
        order by 1, 2""",
        {"schemas": list(schemas)},
    ).fetchall()


def attempts(conn: psycopg.Connection[Any], table: tuple[str, str]) -> list[sql.Composed]:
    """Return statements that would each write a table if they were allowed to."""
    name = sql.Identifier(*table)
    row = conn.execute(
        """select attname from pg_attribute where attrelid = %s::regclass and attnum > 0
        and not attisdropped and attgenerated = '' order by attidentity, attname ~ '_id$', attnum limit 1""",
        (name.as_string(conn),),
    ).fetchone()
    assert row is not None
    column = sql.Identifier(row[0])
    return [
        sql.SQL("insert into {} default values").format(name),
        sql.SQL("update {} set {} = null").format(name, column),
        sql.SQL("delete from {}").format(name),
        sql.SQL("truncate {}").format(name),
    ]


@pytest.mark.parametrize("role", [r for r in OTHERS if r not in ("tsdb_reader", "tsdb_worker_any")])
def test_orders_and_risk_refuse_every_write(
    conn: psycopg.Connection[Any], connect_as: Connect, traded: None, role: str
) -> None:
    tables = relations(conn, *PROTECTED)
    assert any(name.startswith("_hyper") for _, name in tables), "no chunk to try"
    other = connect_as(role)
    for table in tables:
        for statement in attempts(conn, table):
            with pytest.raises(REFUSED):
                other.execute(statement)


@pytest.mark.parametrize("role", [r for r in OTHERS if r not in ("tsdb_reader", "tsdb_worker_any")])
def test_objects_cannot_be_made_or_replaced(connect_as: Connect, role: str) -> None:
    other = connect_as(role)
    for name in (*SCHEMAS, "public", "_timescaledb_internal", "_timescaledb_catalog"):
        for statement in (
            f"create table {name}.mine (n integer)",
            f"create function {name}.mine() returns int language sql return 1",
        ):
            with pytest.raises(errors.InsufficientPrivilege):
                other.execute(statement.encode())
    with pytest.raises(errors.InsufficientPrivilege):
        other.execute("create schema mine")


def test_temporary_tables_are_for_those_who_compute(connect_as: Connect) -> None:
    connect_as("tsdb_quant").execute("create temporary table mine (n integer)")
    for role in ("tsdb_readonly", "tsdb_trader_role", "tsdb_worker_gateway", "tsdb_venue"):
        with pytest.raises(errors.InsufficientPrivilege):
            connect_as(role).execute("create temporary table mine (n integer)")


def test_quant_keeps_own_results_in_the_schema_of_backtests(connect_as: Connect) -> None:
    quant = connect_as("tsdb_quant")
    quant.execute("insert into backtest.cost_models values ('mine', 'My own', 1, 2, 0.001)")
    quant.execute("update backtest.cost_models set spread_share = 0 where cost_model = 'mine'")
    done = quant.execute("delete from backtest.cost_models where cost_model = 'mine'")
    assert done.rowcount == 1


@pytest.mark.usefixtures("conn")
def test_reader_starts_read_only_and_with_timeouts(server: Server, database: str) -> None:
    name = str(psycopg.conninfo.conninfo_to_dict(database)["dbname"])
    with psycopg.connect(server.url("tsdb_readonly", name), autocommit=True) as reader:
        with pytest.raises(errors.ReadOnlySqlTransaction):
            reader.execute("create temporary table mine (n integer)")
        shown = {
            setting: reader.execute(f"show {setting}".encode()).fetchone()
            for setting in SETTINGS["tsdb_readonly"].parameters
        }
    assert shown == {k: (v,) for k, v in SETTINGS["tsdb_readonly"].parameters.items()}


def test_password_hashes_are_the_venues_alone(connect_as: Connect) -> None:
    connect_as("tsdb_venue").execute("select password_hash from venue._participants")
    for role in ("tsdb_quant", "tsdb_readonly", "tsdb_operator", "tsdb_worker"):
        other = connect_as(role)
        with pytest.raises(errors.InsufficientPrivilege):
            other.execute("select password_hash from venue._participants")
