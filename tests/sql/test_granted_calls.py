"""Functions that run with the rights of who calls them: what they call is granted to him, too."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from psycopg import sql

from access_rights import SCHEMAS

CALLS = r"""
with functions as (
    select p.oid, format('%%s.%%s', n.nspname, p.proname) as name, p.prosrc, p.prosecdef
    from pg_proc p join pg_namespace n on n.oid = p.pronamespace
    where n.nspname = any (%s)
),
calls as (
    select distinct f.oid, f.name, m.found[1] as called
    from functions f cross join lateral regexp_matches(f.prosrc, '\m([a-z]+\.\w+)\(', 'g') m (found)
    where not f.prosecdef
)
select k.name, c.name, r.rolname
from calls k
join functions c on c.name = k.called and c.oid <> k.oid
join pg_roles r on r.rolname like 'tsdb\_%%' and has_function_privilege(r.oid, k.oid, 'execute')
group by k.name, c.name, r.rolname
-- Of several functions of one name, one will do.
having not bool_or(has_function_privilege(r.oid, c.oid, 'execute'))
order by 1, 2, 3
"""


def test_functions_of_the_callers_rights_call_only_what_he_may(
    conn: psycopg.Connection[Any],
) -> None:
    assert conn.execute(CALLS, (list(SCHEMAS),)).fetchall() == []


@pytest.mark.parametrize(
    "call",
    [
        "risk.var_historical('{-3,1,2,-1}', 0.75)",
        "risk.expected_shortfall('{-3,1,2,-1}', 0.75)",
        "risk.kupiec_pof(250, 5, 0.01)",
        "portfolio.replay('[]', 'fifo')",
        "backtest.deflated_sharpe(0.1, 100, 0, 3, 5, 0.01)",
    ],
)
def test_pure_function_runs_for_a_quant(
    connect_as: Callable[..., psycopg.Connection[Any]], call: str
) -> None:
    connect_as("tsdb_quant").execute(sql.SQL("select * from {}").format(sql.SQL(call)))
