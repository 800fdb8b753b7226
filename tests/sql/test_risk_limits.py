"""Limits: set over ranges of session time, kept as they were known, found by their scopes."""

from __future__ import annotations

import random
import threading
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

from factories import AS_OF, Venue, add_instrument, open_session, order, set_quote, submit
from scopes import KEYS, add_names, request, wait_for_lock

START = datetime(2013, 10, 1, tzinfo=UTC)
SET = "select risk.set_limit('order_quantity', %s, %s, 'test', %s, %s)"


def day(number: int) -> datetime:
    return START + timedelta(days=number)


def set_range(
    conn: psycopg.Connection,
    value: Any,
    begin: int | None = None,
    end: int | None = None,
    **scope: str,
) -> int | None:
    """Set a limit from one day to another; None is without end."""
    row = conn.execute(
        SET,
        (
            Jsonb(scope),
            value,
            "-infinity" if begin is None else day(begin),
            "infinity" if end is None else day(end),
        ),
    ).fetchone()
    assert row is not None
    return row[0]  # type: ignore[no-any-return]


def in_force(conn: psycopg.Connection, number: int, known: str = "now()") -> list[int]:
    """Return the quantities that were set for everything, valid on a day, as known at a time."""
    rows = conn.execute(
        "select value from risk.limits where control = 'order_quantity' and scope = '{}' "
        f"and %(at)s >= valid_from and %(at)s < valid_to "
        f"and {known} >= recorded_at and {known} < superseded_at",
        {"at": day(number)},
    ).fetchall()
    return [int(row[0]) for row in rows]


@pytest.mark.parametrize(
    ("begin", "end", "expected"),
    [
        (3, 6, [10, 10, 10, 20, 20, 20, 10, 10]),
        (None, 4, [20, 20, 20, 20, 10, 10, 10, 10]),
        (4, None, [10, 10, 10, 10, 20, 20, 20, 20]),
        (None, None, [20] * 8),
    ],
)
def test_limit_over_a_range_leaves_what_was_set_outside_it(conn, begin, end, expected):
    set_range(conn, 10)
    set_range(conn, 20, begin, end)
    assert [in_force(conn, n) for n in range(8)] == [[value] for value in expected]


def test_limit_withdrawn_over_a_range_is_missing_there_alone(conn):
    set_range(conn, 10)
    assert set_range(conn, None, 3, 6) is None
    assert [in_force(conn, n) for n in (2, 3, 5, 6)] == [[10], [], [], [10]]


def test_parts_outside_a_range_keep_who_set_them_and_why(conn):
    set_range(conn, 20, 3, 6)
    rows = conn.execute(
        "select value, reason, set_by from risk.limits "
        "where control = 'order_quantity' and superseded_at = 'infinity' order by valid_from"
    ).fetchall()
    assert rows == [
        (10000, "shipped default", "installation"),
        (20, "test", "tsdb_trader"),
        (10000, "shipped default", "installation"),
    ]


def test_limits_of_random_ranges_are_at_most_one_at_any_time_as_known_at_any_time(conn):
    chosen = random.Random(7)
    value = [10000] * 20
    known: list[tuple[datetime, list[int | None]]] = []
    wanted: list[int | None] = list(value)
    for number in range(40):
        begin, end = sorted(chosen.sample(range(21), 2))
        new = None if chosen.random() < 0.3 else number
        set_range(conn, new, begin, end)
        wanted[begin:end] = [new] * (end - begin)
        row = conn.execute("select clock_timestamp()").fetchone()
        assert row is not None
        known.append((row[0], list(wanted)))
    for at, days in known:
        found = [in_force(conn, n, f"timestamptz '{at.isoformat()}'") for n in range(20)]
        assert found == [[] if v is None else [v] for v in days]


def test_limit_of_a_range_denies_within_it_alone(conn):
    session = open_session(conn)
    at = (AS_OF - timedelta(days=1), AS_OF, AS_OF + timedelta(days=1))
    conn.execute(SET, (Jsonb({}), 99, at[1], at[2]))
    statuses = []
    for as_of in (at[0], at[1], at[2] - timedelta(microseconds=1), at[2]):
        set_quote(conn, session, ts=as_of)
        statuses.append(submit(conn, order(session), as_of=as_of)[0][1])
    assert statuses == ["pending_new", "denied", "denied", "pending_new"]


def test_two_persons_setting_the_same_limit_at_once_leave_one_in_force(conn, connect_as):
    first, second = (connect_as("tsdb_operator", autocommit=False) for _ in range(2))
    set_range(first, 10, None, 5)
    waiter = threading.Thread(target=lambda: (set_range(second, 20, 2, 9), second.commit()))
    waiter.start()
    wait_for_lock(conn, second)
    first.commit()
    waiter.join(30)
    assert [in_force(conn, n) for n in (1, 2, 8, 9)] == [[10], [20], [20], [10000]]
    known = conn.execute(
        "select count(*) from risk.limits a join risk.limits b "
        "on a.control = b.control and a.scope = b.scope and a.limit_id < b.limit_id "
        "and a.valid_from < b.valid_to and b.valid_from < a.valid_to "
        "and a.recorded_at < b.superseded_at and b.recorded_at < a.superseded_at"
    ).fetchone()
    assert known == (0,), "nor were two known at any time in between"


@pytest.mark.parametrize("level", ["REPEATABLE READ", "SERIALIZABLE"])
def test_limit_set_on_an_old_snapshot_is_refused(connect_as, level):
    operator = connect_as("tsdb_operator")
    operator.execute(f"begin isolation level {level}")
    with pytest.raises(psycopg.Error) as caught:
        set_range(operator, 10)
    assert caught.value.sqlstate == "TT003"


@pytest.mark.parametrize(
    ("begin", "end", "period", "says"),
    [
        ("2013-10-08Z", "2013-10-08Z", None, "holds no time"),
        ("2013-10-09Z", "2013-10-08Z", None, "holds no time"),
        (None, "infinity", None, "holds no time"),
        ("-infinity", None, None, "holds no time"),
        ("-infinity", "infinity", "1 minute", "does not count over time"),
    ],
)
def test_limit_of_an_unusable_range_or_period_is_refused(conn, begin, end, period, says):
    with pytest.raises(psycopg.Error, match=says) as caught:
        conn.execute(
            "select risk.set_limit('order_quantity', '{}', 1, 'r', %s, %s, %s)",
            (begin, end, period),
        )
    assert caught.value.sqlstate == "TT001"


def test_limit_of_a_counting_control_has_its_own_window_or_the_controls(conn):
    conn.execute(
        "insert into risk.controls (control, unit, needs_limit, description, period) "
        "values ('counted', 'orders', true, 'counts', '1 minute')"
    )
    for scope, period in (("{}", None), ('{"account": "main"}', "5 seconds")):
        conn.execute(
            "select risk.set_limit('counted', %s, 1, 'r', p_period => %s)", (scope, period)
        )
    rows = conn.execute(
        "select period from risk.limits where control = 'counted' order by limit_id"
    ).fetchall()
    assert rows == [(timedelta(minutes=1),), (timedelta(seconds=5),)]
    with pytest.raises(psycopg.Error, match="not longer than nothing") as caught:
        conn.execute("select risk.set_limit('counted', '{}', 1, 'r', p_period => '0 s')")
    assert caught.value.sqlstate == "TT001"


@pytest.mark.parametrize(
    "scope",
    [
        {"symbol": ""},
        {"session_id": "main"},
        {"session_id": "ABCDEF00-0000-0000-0000-000000000000"},
        {"sector": None},
    ],
)
def test_scope_that_could_never_match_is_refused(conn, scope):
    with pytest.raises(psycopg.Error) as caught:
        conn.execute("select risk.set_limit('position', %s, 1, 'r')", (Jsonb(scope),))
    assert caught.value.sqlstate == "TT001"


@pytest.mark.parametrize("key", KEYS)
def test_limit_of_a_name_that_does_not_exist_is_refused_with_what_there_is(conn, key):
    add_names(conn, request())
    value = str(uuid.UUID(int=7)) if key == "session_id" else "mian"
    with pytest.raises(psycopg.Error, match=f'{key} "{value}" does not exist') as caught:
        conn.execute("select risk.set_limit('position', %s, 1, 'r')", (Jsonb({key: value}),))
    assert caught.value.sqlstate == "TT002"
    there = {"session_id": "see ops.sessions", "account": "there are main, suspense and maybe more"}
    assert caught.value.diag.message_hint.startswith(there.get(key, "there are "))


def test_limit_of_a_name_that_has_changed_can_be_withdrawn(conn):
    add_names(conn, request())
    set_range(conn, 100, symbol="IBM")
    conn.execute("update ref.instruments set symbol = 'IBX' where symbol = 'IBM'")
    assert set_range(conn, None, symbol="IBM") is None
    assert conn.execute(
        "select count(*) from risk.limits where scope ? 'symbol' and superseded_at = 'infinity'"
    ).fetchone() == (0,)


def look_up(conn: psycopg.Connection, known: dict[str, str | None]) -> list[int]:
    """Return the values of the position limits that the look-up finds."""
    rows = conn.execute(
        "select value from risk._limits_of(risk._scope_keys(jsonb_populate_record("
        "null::risk.order_request, %s)), %s) where control = 'position' order by value",
        (Jsonb(known), AS_OF),
    ).fetchall()
    return [int(row[0]) for row in rows]


def test_lookup_finds_the_limits_whose_scope_the_order_contains(conn):
    """Every shape of scope, one that matches and one that does not; the database's @> decides."""
    mine = request()
    others = {"session_id": str(uuid.UUID(int=2)), "account": "other", "strategy": "other"}
    others |= {"symbol": "OTHER", "venue": "OTHER", "sector": "other"}
    add_names(conn, mine, others)
    for mask in range(1, 64):
        names = [key for bit, key in enumerate(KEYS) if mask >> bit & 1]
        scope = {key: mine[key] for key in names}
        other = scope | {names[-1]: others[names[-1]]}
        for value, wanted in ((mask, scope), (1000 + mask, other)):
            conn.execute(
                "select risk.set_limit('position', %s, %s, 'test')", (Jsonb(wanted), value)
            )
    for known in (mine, request(sector=None), request(venue=None), request(account="b")):
        rows = conn.execute(
            "select value from risk.limits where control = 'position' and %s @> scope "
            "and superseded_at = 'infinity' order by value",
            (Jsonb(known),),
        ).fetchall()
        assert look_up(conn, known) == [int(row[0]) for row in rows]
    assert len(look_up(conn, mine)) == 64


def test_lookup_reads_no_more_pages_of_a_thousand_limits_than_of_ten(conn):
    """What an index reads grows with its height; what a scan reads, with the limits."""
    pages = []
    for count in (10, 3000):
        conn.execute(
            "insert into ref.accounts (account) select 'a' || n from generate_series(0, %s) n "
            "on conflict do nothing",
            (count,),
        )
        with conn.transaction(), conn.cursor() as cursor:
            cursor.executemany(
                "select risk.set_limit('position', %s, 1000, 'test')",
                [(Jsonb({"account": f"a{n}"}),) for n in range(count)],
            )
        row = conn.execute(
            "explain (analyze, buffers, format json) select * from risk._limits_of("
            "risk._scope_keys(jsonb_populate_record(null::risk.order_request, %s)), %s)",
            (Jsonb(request()), AS_OF),
        ).fetchone()
        assert row is not None
        pages.append(row[0][0]["Plan"]["Shared Hit Blocks"])
    assert pages[1] <= pages[0] + 10, "3,000 limits fill fifty pages and more"


def test_limit_of_a_sector_covers_the_orders_of_its_instruments(conn):
    session = open_session(conn)
    set_quote(conn, session)
    add_instrument(conn, "KO")
    conn.execute("update ref.instruments set sector = 'tech' where symbol = 'IBM'")
    set_range(conn, 99, sector="tech")
    assert submit(conn, order(session))[0][1] == "denied"
    conn.execute("update ref.instruments set sector = 'drinks' where symbol = 'IBM'")
    assert submit(conn, order(session))[0][1] == "pending_new"


AT = (
    "select action, control, value, scope, is_binding, limit_id, reason, set_by, recorded_at "
    "from risk.limits_at(%s) order by decision_id, control, value"
)


def test_limits_at_says_what_applied_whatever_is_set_afterwards(conn):
    session = open_session(conn)
    set_quote(conn, session)
    conn.execute("insert into ref.accounts (account) values ('other')")
    set_range(conn, 150)
    set_range(conn, 120, account="main")
    set_range(conn, 1, account="other")
    set_range(conn, 50, 30, None, symbol="IBM")
    [(order_id, status, _)] = submit(conn, order(session))
    assert status == "pending_new"
    before = conn.execute(AT, (order_id,)).fetchall()
    assert [row[1:5] for row in before if row[1] == "order_quantity"] == [
        ("order_quantity", 120, {"account": "main"}, True),
        ("order_quantity", 150, {}, False),
    ]
    assert {row[1] for row in before if row[4]} == {
        "market_data", "order_quantity", "order_value", "price_collar", "position",
    }  # fmt: skip
    set_range(conn, 10)
    set_range(conn, None, account="main")
    set_range(conn, 5, symbol="IBM")
    assert conn.execute(AT, (order_id,)).fetchall() == before


def test_limits_at_has_the_limits_of_each_decision_on_an_order(conn):
    session = open_session(conn)
    set_quote(conn, session)
    set_range(conn, 150)
    order_id = submit(conn, order(session))[0][0]
    Venue(conn, order_id).report("new")
    set_range(conn, 110)
    conn.execute(
        'select oms.replace_order(%s, \'{"quantity": "111"}\', %s, %s)',
        (order_id, uuid.uuid4(), AS_OF),
    )
    rows = conn.execute(AT, (order_id,)).fetchall()
    assert [(row[0], int(row[2])) for row in rows if row[1] == "order_quantity"] == [
        ("new", 150),
        ("replace", 110),
    ]


@pytest.mark.parametrize("order_id", [1, None])
def test_limits_at_of_an_unknown_order_is_refused(conn, order_id):
    with pytest.raises(psycopg.Error) as caught:
        conn.execute("select * from risk.limits_at(%s)", (order_id,))
    assert caught.value.sqlstate == "TT002"


@pytest.mark.parametrize("role", ["operator", "quant", "readonly"])
def test_limits_at_is_open_to_all_who_read(conn, connect_as, role):
    session = open_session(conn)
    set_quote(conn, session)
    order_id = submit(conn, order(session))[0][0]
    assert connect_as(f"tsdb_{role}").execute(AT, (order_id,)).fetchall()
