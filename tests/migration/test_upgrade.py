"""A database that has traded under an older revision is brought to this one.

`revision_0015.sql.gz` is what such a database holds beyond its tables: the functions and views of
that time, and the rows of eight orders in different states, with what the venue knew of two.
`revision_0029.sql.gz` are the rows of a session that traded a pair, and of two backtests of it.
"""

from __future__ import annotations

import gzip
import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy
from alembic import command
from alembic.config import Config

from factories import Venue, order, submit
from migration.test_snapshot import describe
from tsdb_trader import schema
from tsdb_trader.api import backtest

STATE = Path(__file__).with_name("revision_0015.sql.gz")
TRADED = gzip.decompress(Path(__file__).with_name("revision_0029.sql.gz").read_bytes()).decode()
OBJECTS = """
select p.oid::regprocedure::text from pg_proc p join pg_namespace n on n.oid = p.pronamespace
where n.nspname in ('ref', 'market', 'signal', 'oms', 'risk', 'portfolio', 'tca', 'backtest', 'ops',
    'venue')
union all
select c.oid::regclass::text from pg_class c join pg_namespace n on n.oid = c.relnamespace
where c.relkind = 'v' and n.nspname in ('ref', 'market', 'signal', 'oms', 'risk', 'portfolio', 'tca',
    'backtest', 'ops', 'venue')
order by 1
"""


def upgrade(url: str, revision: str) -> None:
    """Apply the migrations up to a revision, and no file of sql/."""
    engine = sqlalchemy.create_engine(
        "postgresql+psycopg://", creator=lambda: psycopg.connect(url), poolclass=sqlalchemy.NullPool
    )
    with engine.begin() as connection:
        connection.exec_driver_sql("create schema ops")
        config = Config(str(schema.root() / "alembic.ini"))
        config.set_main_option("script_location", str(schema.root() / "migrations"))
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
    engine.dispose()


@pytest.fixture(scope="module")
def old(server) -> Iterator[str]:
    """Return the owner's URL of a database of revision 0015 that was migrated with its orders."""
    name = f"tsdb_test_{uuid.uuid4().hex[:12]}"
    server.create_database(name)
    url = server.url(database=name)
    upgrade(url, "0015")
    with psycopg.connect(url, autocommit=True) as owner:
        functions, rows = gzip.decompress(STATE.read_bytes()).decode().split("-- rows\n")
        owner.execute(functions.encode())
    # Without triggers and foreign keys: the rows are as they were.
    with psycopg.connect(server.url("postgres", database=name), autocommit=True) as admin:
        admin.execute(rows.encode())
    schema.migrate(url)
    yield url
    server.drop_database(name)


@pytest.fixture
def migrated(old: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(old, autocommit=True, options="-c TimeZone=UTC") as connection:
        yield connection


def test_upgrade_leaves_the_tables_functions_and_views_of_a_new_database(migrated, conn):
    assert describe(migrated) == describe(conn)
    assert migrated.execute(OBJECTS).fetchall() == conn.execute(OBJECTS).fetchall()


def test_upgrade_keeps_every_order_as_it_was(migrated):
    rows = migrated.execute(
        "select order_id, status, is_live, cumulative_quantity::integer, leaves_quantity::integer "
        "from oms.orders where order_id <= 8 order by 1"
    ).fetchall()
    assert rows == [
        *((n, "partially_filled", True, 30, 70) for n in (1, 2, 3)),
        (4, "filled", False, 100, 0),
        (5, "rejected", False, 0, 0),
        (6, "pending_cancel", True, 0, 100),
        (7, "pending_new", True, 0, 100),
        (8, "denied", False, 0, 0),
    ]
    position = migrated.execute("select quantity::integer from portfolio.positions").fetchall()
    assert position == [(190,)]


def test_upgrade_chains_and_protects_the_log_of_old_orders(migrated, old, server):
    assert migrated.execute("select * from oms.verify_log()").fetchall() == []
    assert migrated.execute("select * from ops.check_orphans()").fetchall() == []
    assert migrated.execute("select count(*) from oms.order_events").fetchone() == (19,)
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        migrated.execute("delete from oms.order_events")


def test_upgrade_keeps_what_the_venue_knows(migrated):
    orders = migrated.execute(
        "select order_no, status, cl_ord_id = root_cl_ord_id from venue._orders order by 1"
    ).fetchall()
    assert orders == [(1, "partially_filled", True), (2, "new", True)]
    named = migrated.execute("select order_no from venue._cl_ord_ids order by 1").fetchall()
    assert named == [(1,), (2,)]


def test_upgrade_lets_old_orders_go_on(migrated):
    [session_id] = migrated.execute(
        "select session_id from oms.orders where order_id = 1"
    ).fetchone()
    with migrated.transaction(force_rollback=True):
        Venue(migrated, 1).fill(70, exec_id="later-1", cum_qty="100")
        Venue(migrated, 6).report("cancelled", exec_id="later-2")
        Venue(migrated, 7).report("new", exec_id="later-3")
        [(new, status, reasons)] = submit(migrated, order(session_id))
        assert (status, reasons) == ("pending_new", [])
        states = migrated.execute(
            "select order_id, status, leaves_quantity::integer from oms.orders "
            "where order_id in (1, 6, 7, %s) order by 1",
            (new,),
        ).fetchall()
        assert states == [
            (1, "filled", 0),
            (6, "cancelled", 0),
            (7, "new", 100),
            (new, "pending_new", 100),
        ]
        assert migrated.execute("select * from oms.verify_log()").fetchall() == []


def rows(table: str) -> list[dict[str, Any]]:
    """Return the rows of a table as they were under revision 0029, in their order."""
    [line] = [part for part in TRADED.splitlines() if f"null::{table}, " in part]
    found: list[dict[str, Any]] = json.loads(line[line.index("'[") + 1 : -3].replace("''", "'"))
    return found


def strip(value: Any) -> Any:
    """Return a value of JSON without the fields of its objects that are null."""
    if isinstance(value, dict):
        return {name: strip(part) for name, part in value.items() if part is not None}
    return value


@pytest.fixture(scope="module")
def traded(server) -> Iterator[str]:
    """Return the owner's URL of a database of revision 0029 that was migrated with its runs."""
    name = f"tsdb_test_{uuid.uuid4().hex[:12]}"
    server.create_database(name)
    url = server.url(database=name)
    upgrade(url, "0029")
    with psycopg.connect(server.url("postgres", database=name), autocommit=True) as admin:
        admin.execute(TRADED.encode())
    schema.migrate(url)
    yield url
    server.drop_database(name)


@pytest.fixture
def upgraded(traded: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(traded, autocommit=True, options="-c TimeZone=UTC") as connection:
        yield connection


@pytest.mark.parametrize(
    ("table", "key"),
    [
        ("signal.pairs", "pair_id"),
        ("signal.signals", "signal_id"),
        ("signal.targets", "signal_id, instrument_id"),
        ("signal.pair_states", "pair_id"),
        ("market.batches", "batch_id"),
        ("backtest.runs", "run_id"),
        ("backtest.signals", "run_id, as_of"),
        ("backtest.orders", "run_id, order_id"),
        ("backtest.executions", "run_id, execution_id"),
    ],
)
def test_upgrade_keeps_every_row_of_strategies_and_runs(upgraded, table, key):
    before = rows(table)
    columns = ", ".join(f"{column}" for column in before[0])
    after = [
        row[0]
        for row in upgraded.execute(
            f"select row_to_json(x) from (select {columns} from {table}) x order by {key}"
        ).fetchall()
    ]
    names = key.split(", ")
    # Composites have fields by now that they had not then.
    after, before = ([strip(row) for row in side] for side in (after, before))
    assert after == sorted(before, key=lambda row: [row[name] for name in names])
    assert len(after) > 0


def test_upgrade_adds_the_capital_to_the_equity_of_old_runs(upgraded):
    capital = {row["run_id"]: row["parameters"]["capital"] for row in rows("backtest.runs")}
    assert capital == {1: 50_000, 2: 1_000_000}
    after = upgraded.execute(
        """select run_id, as_of at time zone 'UTC', pnl::float8, (equity - pnl)::float8
           from backtest.equity order by 1, 2"""
    ).fetchall()
    before = sorted(rows("backtest.equity"), key=lambda row: (row["run_id"], row["as_of"]))
    assert [(run_id, pnl) for run_id, _, pnl, _ in after] == [
        (row["run_id"], row["equity"]) for row in before
    ]
    assert all(added == capital[run_id] for run_id, _, _, added in after)
    assert len({pnl for _, _, pnl, _ in after}) > 10


def test_upgrade_leaves_a_traded_session_that_parity_finds_nothing_in(upgraded):
    [row] = rows("signal.session_pairs")
    assert upgraded.execute("select count(*) from signal.signals").fetchone() == (5,)
    assert (
        upgraded.execute("select * from backtest.parity(%s)", (row["session_id"],)).fetchall() == []
    )


def test_upgrade_lets_an_old_run_be_compared_with_the_same_of_today(upgraded):
    [row] = rows("signal.session_pairs")
    old = rows("backtest.runs")[0]
    with upgraded.transaction(force_rollback=True):
        new = backtest.run(upgraded, "pairs", {"session_id": row["session_id"], "capital": 50_000})
        measures = {m.measure: m for m in backtest.compare(upgraded, 1, new.run_id)}
    assert measures["signals_alone"].a == measures["signals_alone"].b == 0
    assert measures["trades"].difference == 0
    assert new.total_return == pytest.approx(old["total_return"], rel=1e-9)
    assert new.costs == pytest.approx(old["cost_amount"], rel=1e-9)
    # A run of then knew the batches only, one of today every price it read.
    assert measures["data_differs"].detail["digest"][1] is not None


def test_upgrade_lets_old_runs_be_deleted_with_their_rows(upgraded):
    with upgraded.transaction(force_rollback=True):
        upgraded.execute("delete from backtest.runs where run_id = 1")
        for table in ("signals", "orders", "executions", "equity"):
            found = upgraded.execute(f"select distinct run_id from backtest.{table}").fetchall()
            assert found == [(2,)]
