"""What `migrate` leaves: the declared objects and nothing else, the same on every path."""

from __future__ import annotations

import re
from pathlib import Path

import psycopg
import pytest

from tsdb_trader import schema
from tsdb_trader.errors import SchemaError

OURS = ["ref", "market", "signal", "oms", "risk", "portfolio", "tca", "backtest", "ops", "venue"]


def sql_text() -> str:
    """Return every SQL text of the project that declares objects."""
    root = schema.root()
    versions = sorted((root / "migrations" / "versions").glob("*.py"))
    return "\n".join(
        [p.read_text() for p in versions]
        + [(root / "sql" / path).read_text() for path in schema.manifest()]
    )


def test_migrate_again_changes_nothing(database):
    again = schema.migrate(database)
    assert again.files_applied == 0
    assert again.files_unchanged == len(schema.manifest())


def test_migrate_applies_a_changed_file_again(database, conn):
    path = schema.manifest()[0]
    conn.execute("update ops.schema_files set sha256 = 'other' where path = %s", (path,))
    with pytest.raises(SchemaError, match="tsdb-trader migrate"):
        schema.check_current(database)
    assert schema.migrate(database).files_applied == 1
    schema.check_current(database)


def test_behind_missing_table_is_explained_only_by_a_schema_that_is_not_ours(
    database, conn, monkeypatch
):
    monkeypatch.setattr(schema.db, "database_url", lambda role=None: database)
    missing = psycopg.errors.UndefinedTable("relation does not exist")
    assert schema.behind(missing) is None
    conn.execute("update ops.schema_files set sha256 = 'other'")
    assert "tsdb-trader migrate" in str(schema.behind(missing))
    assert schema.behind(psycopg.errors.DivisionByZero("division by zero")) is None


def test_every_sql_file_is_in_the_manifest_once():
    root = schema.root() / "sql"
    on_disk = sorted(str(p.relative_to(root)) for p in root.rglob("*.sql"))
    assert sorted(schema.manifest()) == on_disk


def test_every_file_can_be_applied_again(conn):
    with conn.transaction():
        for path in schema.manifest():
            conn.execute((schema.root() / "sql" / path).read_bytes())


def test_functions_and_views_in_the_database_are_declared_in_a_file(conn):
    text = sql_text()
    declared = set(
        re.findall(
            r"create (?:or replace )?(?:function|procedure|view|aggregate)\s+([a-z_.0-9]+)", text
        )
    )
    in_database = {
        name
        for (name,) in conn.execute(
            """
            select n.nspname || '.' || p.proname from pg_proc p
            join pg_namespace n on n.oid = p.pronamespace where n.nspname = any (%(ours)s)
            union
            select n.nspname || '.' || c.relname from pg_class c
            join pg_namespace n on n.oid = c.relnamespace
            where n.nspname = any (%(ours)s) and c.relkind = 'v'
            """,
            {"ours": OURS},
        ).fetchall()
    }
    # Rollups are made by market.declare_rollup from their declarations.
    rollups = {
        name
        for (name,) in conn.execute("select 'market.' || rollup from market.rollups").fetchall()
    }
    assert {
        n for n in in_database - declared if n not in rollups and not is_rollup_part(n)
    } == set()


def is_rollup_part(name: str) -> bool:
    """Tell whether an object was made by market.declare_rollup."""
    return re.fullmatch(r"market\.(bars_1[smhd]|bars_5m|_bars_.*)", name) is not None


def test_no_function_has_a_forgotten_overload(conn):
    rows = conn.execute(
        """select n.nspname || '.' || p.proname from pg_proc p
        join pg_namespace n on n.oid = p.pronamespace where n.nspname = any (%s)
        group by 1 having count(*) > 1""",
        (OURS,),
    ).fetchall()
    assert rows == []


def test_every_public_object_has_a_comment(conn):
    rows = conn.execute(
        """
        select 'function ' || n.nspname || '.' || p.proname from pg_proc p
        join pg_namespace n on n.oid = p.pronamespace
        where n.nspname = any (%(ours)s) and p.proname !~ '^_'
            and obj_description(p.oid, 'pg_proc') is null
        union all
        select 'relation ' || n.nspname || '.' || c.relname from pg_class c
        join pg_namespace n on n.oid = c.relnamespace
        where n.nspname = any (%(ours)s) and c.relkind in ('r', 'v') and c.relname !~ '^_'
            and c.relname <> 'alembic_version' and obj_description(c.oid, 'pg_class') is null
        """,
        {"ours": OURS},
    ).fetchall()
    assert rows == []


def test_security_definer_functions_pin_their_search_path(conn):
    rows = conn.execute(
        """select n.nspname || '.' || p.proname from pg_proc p
        join pg_namespace n on n.oid = p.pronamespace
        where n.nspname = any (%s) and p.prosecdef
            and not exists (select from unnest(p.proconfig) c where c like 'search_path=pg_catalog%%')""",
        (OURS,),
    ).fetchall()
    assert rows == []


def test_no_function_is_open_to_everybody(conn):
    rows = conn.execute(
        """select n.nspname || '.' || p.proname from pg_proc p
        join pg_namespace n on n.oid = p.pronamespace
        cross join lateral aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
        where n.nspname = any (%s) and a.grantee = 0 and a.privilege_type = 'EXECUTE'""",
        (OURS,),
    ).fetchall()
    assert rows == []


def test_strategy_and_risk_functions_do_not_read_the_clock():
    for folder in ("signal", "risk"):
        for path in (schema.root() / "sql" / folder / "functions").glob("*.sql"):
            code = re.sub(r"--.*", "", path.read_text())
            # These record when somebody acted, beside the session time they are given.
            allowed = {
                "set_limit.sql", "set_state.sql", "set_price_band.sql", "_change_strategy.sql",
                "authorise_order.sql", "revoke_authorisation.sql", "_use_authorisation.sql",
                "unrestrict.sql", "withdraw_locate.sql", "save_pair.sql", "set_monitor_limit.sql",
                "_end_breaches.sql", "_finish_plan.sql", "refresh_returns.sql", "save_factors.sql", "record_var.sql", "_prepare_set.sql",
                "save_calibration.sql", "schedule_calibration.sql",
                "save_instance.sql", "save_beta.sql", "register_strategy.sql",
                "_end_periods.sql", "save_rule.sql", "register_python_strategy.sql",
            }  # fmt: skip
            assert path.name in allowed or not re.search(
                r"\b(now|clock_timestamp|statement_timestamp)\(", code
            ), path


def test_nothing_of_ours_is_in_public(conn):
    rows = conn.execute(
        """select c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace
        where n.nspname = 'public' and c.relkind <> 'c' and not exists (
            select from pg_depend d where d.objid = c.oid and d.deptype = 'e')"""
    ).fetchall()
    assert rows == []


def test_functions_pass_plpgsql_check(conn):
    installed = conn.execute("select 1 from pg_extension where extname = 'plpgsql_check'")
    if installed.fetchone() is None:
        pytest.skip("the server has no extension plpgsql_check")
    rows = conn.execute(
        """select p.oid::regprocedure::text, c.message, c.level
        from pg_proc p
        join pg_namespace n on n.oid = p.pronamespace
        join pg_language l on l.oid = p.prolang
        cross join lateral plpgsql_check_function_tb(p.oid, fatal_errors => false,
            extra_warnings => false, performance_warnings => false) c
        where n.nspname = any (%s) and l.lanname = 'plpgsql' and p.prorettype <> 'trigger'::regtype
            and c.level = 'error'""",
        (OURS,),
    ).fetchall()
    assert rows == []


def test_newer_database_is_refused(database, conn):
    conn.execute("update ops.alembic_version set version_num = '9999'")
    with pytest.raises(SchemaError, match="newer"):
        schema.migrate(database)


def test_failed_migration_leaves_the_database_as_it_was(
    server, template, database, tmp_path, monkeypatch
):
    folder = tmp_path / "copy"
    real = schema.root()
    (folder / "sql").mkdir(parents=True)
    (folder / "sql" / "good.sql").write_text("create schema half_done;")
    (folder / "sql" / "bad.sql").write_text("select nonsense;")
    (folder / "sql" / "manifest.txt").write_text("good.sql\nbad.sql\n")
    for name in ("alembic.ini", "migrations"):
        (folder / name).symlink_to(real / name)
    monkeypatch.setattr(schema, "root", lambda: folder)
    with pytest.raises(SchemaError, match=r"sql/bad\.sql: column .nonsense. does not exist"):
        schema.migrate(database)
    with psycopg.connect(database) as connection:
        row = connection.execute("select to_regnamespace('half_done')").fetchone()
    assert row == (None,)


def test_versioned_migrations_read_no_sql_files():
    for path in Path(schema.root() / "migrations" / "versions").glob("*.py"):
        assert "open(" not in path.read_text()
        assert "read_text" not in path.read_text()


def test_orphan_check_is_empty_and_finds_a_missing_parent(conn):
    assert conn.execute("select * from ops.check_orphans()").fetchall() == []
    conn.execute(
        "insert into oms.order_events (order_id, event_no, kind, to_status, as_of, order_quantity, "
        "cumulative_quantity, leaves_quantity, prev_hash, hash) "
        "values (77, 1, 'x', 'new', now(), 0, 0, 0, '', '')"
    )
    assert conn.execute("select * from ops.check_orphans()").fetchall() == [
        ("order_events without order", 1)
    ]
