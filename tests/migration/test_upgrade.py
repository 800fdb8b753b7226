"""A database that has traded under an older revision is brought to this one.

`revision_0015.sql.gz` is what such a database holds beyond its tables: the functions and views of
that time, and the rows of eight orders in different states, with what the venue knew of two.
"""

from __future__ import annotations

import gzip
import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import sqlalchemy
from alembic import command
from alembic.config import Config

from factories import Venue, order, submit
from migration.test_snapshot import describe
from tsdb_trader import schema

STATE = Path(__file__).with_name("revision_0015.sql.gz")
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
