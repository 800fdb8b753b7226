"""docs/order_states.md says what the database does."""

from __future__ import annotations

import re
from pathlib import Path

import psycopg
import pytest
from psycopg.types.json import Jsonb

from factories import open_session, order, set_quote, submit

PAGE = Path(__file__).resolve().parents[2] / "docs" / "order_states.md"


@pytest.fixture(scope="module")
def page() -> str:
    return PAGE.read_text()


def transitions(conn: psycopg.Connection) -> list[tuple[str, str, str]]:
    return conn.execute(
        "select from_status, to_status, why from oms.order_transitions order by 1, 2"
    ).fetchall()


def documented_states(page: str) -> dict[str, bool]:
    """Return whether each state of the page counts as working."""
    rows = re.findall(r"^\| `(\w+)` \| [^|`]*(?:`[^|]*)?\| (yes|no) \|$", page, re.MULTILINE)
    return {state: working == "yes" for state, working in rows}


def test_diagram_shows_every_transition_and_no_other(conn, page):
    diagram = page.partition("```mermaid")[2].partition("```")[0]
    edges = sorted(re.findall(r"^ +(\w+) --> (\w+)$", diagram, re.MULTILINE))
    assert edges == [(a, b) for a, b, _ in transitions(conn)]


def test_table_gives_the_reason_of_every_transition(conn, page):
    rows = re.findall(r"^\| `(\w+)` \| `(\w+)` \| (.+) \|$", page, re.MULTILINE)
    assert sorted(rows) == transitions(conn)


def test_every_state_is_explained_and_can_be_reached(conn, page):
    moves = transitions(conn)
    reachable = {"held", "pending_new", "new", "denied"}
    while more := {b for a, b, _ in moves if a in reachable} - reachable:
        reachable |= more
    assert set(documented_states(page)) == reachable


def test_working_states_of_the_page_are_the_live_ones_of_the_table(conn, page):
    row = conn.execute(
        "select pg_get_expr(d.adbin, d.adrelid) from pg_attrdef d join pg_attribute a "
        "on a.attrelid = d.adrelid and a.attnum = d.adnum "
        "where d.adrelid = 'oms.orders'::regclass and a.attname = 'is_live'"
    ).fetchone()
    assert row is not None
    working = {state for state, counts in documented_states(page).items() if counts}
    assert working == set(re.findall(r"'(\w+)'", row[0]))


def test_control_counts_an_order_in_every_working_state_and_in_no_other(conn, page):
    session = open_session(conn)
    set_quote(conn, session)
    conn.execute("select risk.set_limit('position', '{}', 150, 'test')")
    order_id = submit(conn, order(session))[0][0]
    conn.execute("alter table oms.orders disable trigger check_transition")
    for state, counts in documented_states(page).items():
        if state == "denied":
            continue
        conn.execute("update oms.orders set status = %s where order_id = %s", (state, order_id))
        [passed] = conn.execute(
            "select passed from risk.check_order(%s, "
            "(select as_of from oms.orders where order_id = %s)) where control = 'position'",
            (Jsonb(order(session)), order_id),
        ).fetchall()
        assert passed == (not counts,), state
