"""The tables as they are after all migrations, in a file that a review can read.

After an intended change: ``TSDB_TRADER_UPDATE_SNAPSHOT=1 make test TESTS=tests/migration``.
"""

from __future__ import annotations

import os
from pathlib import Path

import psycopg

SNAPSHOT = Path(__file__).with_name("schema.txt")
# Rollups differ by edition, on purpose, below their views.
TABLES = """
select c.oid, n.nspname || '.' || c.relname as name
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where n.nspname in ('ref', 'market', 'signal', 'oms', 'risk', 'portfolio', 'tca', 'backtest', 'ops',
    'venue') and c.relkind = 'r' and c.relname not like '\\_bars\\_%'
order by 2
"""
PARTS = (
    """
select '    ' || a.attname || ' ' || format_type(a.atttypid, a.atttypmod)
    || case when a.attnotnull then ' not null' else '' end
    || coalesce(' default ' || pg_get_expr(d.adbin, d.adrelid), '')
    || case when a.attidentity <> '' then ' identity' else '' end
from pg_attribute a
left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
where a.attrelid = %(oid)s and a.attnum > 0 and not a.attisdropped order by a.attnum
""",
    """
select '    constraint ' || conname || ' ' || pg_get_constraintdef(oid)
from pg_constraint where conrelid = %(oid)s and contype <> 'n' order by conname
""",
    """
select '    ' || regexp_replace(pg_get_indexdef(indexrelid), '^CREATE', 'index')
from pg_index where indrelid = %(oid)s and not indisprimary
order by indexrelid::regclass::text
""",
    """
select '    trigger ' || tgname || ' ' || tgfoid::regproc::text
from pg_trigger where tgrelid = %(oid)s and not tgisinternal and tgname not like 'ts\\_%%'
    and tgname not like 'note\\_%%\\_tick%%'
order by tgname
""",
)


def describe(conn: psycopg.Connection) -> str:
    """Return the tables with their columns, constraints, indexes and triggers."""
    lines = []
    for oid, name in conn.execute(TABLES).fetchall():
        lines.append(name)
        for part in PARTS:
            lines.extend(row[0] for row in conn.execute(part, {"oid": oid}).fetchall())
    return "\n".join(lines) + "\n"


def test_tables_are_as_the_snapshot_says(conn):
    found = describe(conn)
    if os.environ.get("TSDB_TRADER_UPDATE_SNAPSHOT"):
        SNAPSHOT.write_text(found)
    assert found == SNAPSHOT.read_text()
