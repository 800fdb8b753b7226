"""Who may do what, as the server's catalogue has it."""

from __future__ import annotations

from typing import Any, NamedTuple

import psycopg

from tsdb_trader.embedded.roles import GROUPS, OWNER, ROLES

SCHEMAS = ["ref", "market", "signal", "oms", "risk", "portfolio", "tca", "backtest", "ops", "venue"]
OTHERS = (*(role for role in ROLES if role != OWNER), *GROUPS)
"""Everybody but the owner of it all; `public`, which is everybody, is asked for as well."""
PUBLIC = "public"


class Right(NamedTuple):
    """What a role may do with an object, as letters; upper case: only some of the columns."""

    kind: str
    name: str
    role: str
    letters: str


_RELATIONS = """
    select case when c.relkind = 'S' then 'sequence' when c.relkind in ('v', 'm') then 'view'
           else 'table' end as kind,
        c.oid, c.relkind, n.nspname || '.' || c.relname as name
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where n.nspname = any (%(schemas)s) and c.relkind in ('r', 'p', 'v', 'm', 'S', 'f')"""

_TABLES = f"""
    with relations as ({_RELATIONS})
    select c.kind, c.name, r.role, string_agg(case
            when has_table_privilege(r.role, c.oid, p.privilege) then p.letter
            when p.columns and has_any_column_privilege(r.role, c.oid, p.privilege)
                then upper(p.letter)
            else '' end, '' order by p.place) as letters
    from relations c, unnest(%(roles)s::text[]) r (role),
        (values (1, 'select', 'r', true), (2, 'insert', 'a', true), (3, 'update', 'w', true),
            (4, 'delete', 'd', false), (5, 'truncate', 't', false),
            (6, 'references', 'x', true), (7, 'trigger', 'g', false))
            as p (place, privilege, letter, columns)
    where c.relkind <> 'S'
    group by c.kind, c.name, r.role"""

_SEQUENCES = f"""
    with relations as ({_RELATIONS})
    select c.kind, c.name, r.role, concat(
        case when has_sequence_privilege(r.role, c.oid, 'select') then 'r' end,
        case when has_sequence_privilege(r.role, c.oid, 'update') then 'w' end,
        case when has_sequence_privilege(r.role, c.oid, 'usage') then 'u' end)
    from relations c, unnest(%(roles)s::text[]) r (role)
    where c.relkind = 'S'"""

_FUNCTIONS = """
    select case p.prokind when 'p' then 'procedure' when 'a' then 'aggregate' else 'function' end,
        n.nspname || '.' || p.proname || '(' || pg_get_function_identity_arguments(p.oid) || ')',
        r.role, case when has_function_privilege(r.role, p.oid, 'execute') then 'x' else '' end
    from pg_proc p join pg_namespace n on n.oid = p.pronamespace,
        unnest(%(roles)s::text[]) r (role)
    where n.nspname = any (%(schemas)s)"""

_SCHEMAS = """
    select 'schema', n.nspname::text, r.role, concat(
        case when has_schema_privilege(r.role, n.oid, 'usage') then 'u' end,
        case when has_schema_privilege(r.role, n.oid, 'create') then 'c' end)
    from pg_namespace n, unnest(%(roles)s::text[]) r (role)
    where n.nspname = any (%(schemas)s) or n.nspname = 'public'"""


def rights(conn: psycopg.Connection[Any]) -> list[Right]:
    """Return every right of every role, and of everybody, on every object in our schemas."""
    arguments = {"schemas": SCHEMAS, "roles": [*OTHERS, PUBLIC]}
    found: list[Right] = []
    for query in (_SCHEMAS, _TABLES, _SEQUENCES, _FUNCTIONS):
        found += [Right(*row) for row in conn.execute(query.encode(), arguments)]
    return sorted(found)
