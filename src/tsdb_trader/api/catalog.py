"""What the schemas hold, from the database's own catalogue and its comments."""

from __future__ import annotations

from dataclasses import dataclass

from psycopg.rows import class_row

from tsdb_trader.db import Connection

SCHEMAS = (
    "ref",
    "market",
    "signal",
    "oms",
    "risk",
    "portfolio",
    "tca",
    "backtest",
    "ops",
    "venue",
)


@dataclass(frozen=True)
class Relation:
    """A public table or view, with its columns as (name, type, comment)."""

    schema: str
    name: str
    kind: str
    comment: str | None
    columns: list[tuple[str, str, str | None]]


@dataclass(frozen=True)
class Function:
    """A public function."""

    schema: str
    name: str
    arguments: str
    result: str
    comment: str | None


def controls(conn: Connection) -> list[tuple[str, str, str]]:
    """Return (code, unit, description) of the pre-trade controls, as they are reported."""
    return conn.execute(
        "select control, unit, description from risk.controls order by control"
    ).fetchall()


def schema_comments(conn: Connection) -> dict[str, str | None]:
    """Return the comment of each of our schemas that exists."""
    rows = conn.execute(
        "select nspname, obj_description(oid, 'pg_namespace') from pg_namespace "
        "where nspname = any (%s)",
        (list(SCHEMAS),),
    ).fetchall()
    return dict(rows)


def relations(conn: Connection) -> list[Relation]:
    """Return the public tables and views (no leading underscore), by name."""
    cur = conn.cursor(row_factory=class_row(Relation))
    return cur.execute(
        """
        select n.nspname::text as schema, c.relname::text as name,
            case when c.relkind in ('v', 'm') then 'view' else 'table' end as kind,
            obj_description(c.oid, 'pg_class') as comment,
            (select array_agg(array[a.attname::text, format_type(a.atttypid, a.atttypmod),
                                    col_description(c.oid, a.attnum)] order by a.attnum)
             from pg_attribute a
             where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped) as columns
        from pg_class c join pg_namespace n on n.oid = c.relnamespace
        where n.nspname = any (%s) and c.relkind in ('r', 'p', 'v', 'm') and c.relname !~ '^_'
        order by n.nspname collate "C", c.relname collate "C"
        """,
        (list(SCHEMAS),),
    ).fetchall()


def functions(conn: Connection) -> list[Function]:
    """Return the public functions, aggregates and procedures, by name and arguments."""
    cur = conn.cursor(row_factory=class_row(Function))
    return cur.execute(
        """
        select n.nspname::text as schema, p.proname::text as name,
            pg_get_function_arguments(p.oid) as arguments,
            case p.prokind when 'p' then 'procedure' when 'a' then 'aggregate of ' else '' end
                || coalesce(pg_get_function_result(p.oid), '') as result,
            obj_description(p.oid, 'pg_proc') as comment
        from pg_proc p join pg_namespace n on n.oid = p.pronamespace
        where n.nspname = any (%s) and p.proname !~ '^_'
        order by n.nspname collate "C", p.proname collate "C",
            pg_get_function_identity_arguments(p.oid) collate "C"
        """,
        (list(SCHEMAS),),
    ).fetchall()
