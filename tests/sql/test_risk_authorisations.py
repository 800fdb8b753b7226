"""A second person's authorisation, and the lists that controls read: restrictions, locates, bands."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.types.json import Jsonb

from factories import AS_OF, open_session, order, set_quote, submit
from scopes import wait_for_lock

LATER = datetime.now(UTC) + timedelta(hours=1)
SOFT = ["order_quantity", "order_value"]


@pytest.fixture
def session(conn: psycopg.Connection) -> uuid.UUID:
    session_id = open_session(conn)
    set_quote(conn, session_id)
    conn.execute("update risk.controls set is_soft = true where control = any(%s)", (SOFT,))
    return session_id


def authorise(
    conn: psycopg.Connection,
    spec: dict[str, Any],
    controls: list[str] | None = None,
    reason: Any = "client asked twice",
    expires_at: Any = LATER,
) -> int:
    row = conn.execute(
        "select risk.authorise_order(%s, %s, %s, %s)",
        (Jsonb(spec), SOFT if controls is None else controls, reason, expires_at),
    ).fetchone()
    assert row is not None
    return int(row[0])


def judged(
    conn: psycopg.Connection,
    spec: dict[str, Any],
    controls: list[str] | None = None,
    *,
    order_id: int | None = None,
    now: datetime | None = None,
) -> tuple[int | None, str | None]:
    """Return the authorisation that lets an order exceed controls, or why none does."""
    row = conn.execute(
        "select * from risk._authorisation_for(risk._read_order(%s), %s, %s, %s)",
        (Jsonb(spec), controls or SOFT[:1], now or datetime.now(UTC), order_id),
    ).fetchone()
    assert row is not None
    return row  # type: ignore[return-value]


def test_authorised_order_may_exceed_the_controls_it_was_authorised_for(conn, session, connect_as):
    operator = connect_as("tsdb_operator")
    spec = order(session)
    found = authorise(operator, spec)
    named = spec | {"authorisation_id": found}
    assert judged(conn, named) == (found, None)
    assert judged(conn, named, SOFT) == (found, None)
    assert judged(conn, spec) == (None, "no authorisation")
    assert judged(conn, named, [*SOFT, "position"]) == (
        None,
        f"authorisation {found} does not cover position",
    )
    assert conn.execute(
        "select authorised_by, reason, controls, quantity, limit_price, order_id "
        "from risk.authorisations"
    ).fetchall() == [("tsdb_operator", "client asked twice", SOFT, 100, Decimal("100.01"), None)]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({}, None),
        ({"quantity": "99", "limit_price": "99"}, None),
        ({"quantity": "100.000001"}, "is for 100 at most"),
        ({"limit_price": "100.011"}, "is for a limit price of 100.01 or better"),
        ({"side": "sell"}, "is for another"),
        ({"symbol": "AIG"}, "is for another"),
        ({"account": "other"}, "is for another"),
        ({"strategy": "pairs"}, "is for another"),
        ({"order_type": "market", "limit_price": None}, "is for another"),
        ({"order_type": "stop_limit", "stop_price": "100"}, "is for another"),
    ],
)
def test_authorisation_is_for_that_order_or_a_safer_one(conn, session, connect_as, changes, says):
    conn.execute("insert into ref.accounts (account) values ('other')")
    set_quote(conn, session, "AIG")
    found = authorise(connect_as("tsdb_operator"), order(session))
    number, problem = judged(conn, order(session, authorisation_id=found, **changes))
    assert (number, problem is None) == ((found, True) if says is None else (None, False))
    assert says is None or says in str(problem)


def test_authorised_sale_may_ask_for_more_and_not_for_less(conn, session, connect_as):
    spec = order(session, side="sell", limit_price="99")
    found = authorise(connect_as("tsdb_operator"), spec)
    named = spec | {"authorisation_id": found}
    assert judged(conn, named | {"limit_price": "99.01"}) == (found, None)
    assert "99 or better" in str(judged(conn, named | {"limit_price": "98.99"})[1])


def test_authorisation_of_another_session_is_of_no_use(conn, session, connect_as):
    found = authorise(connect_as("tsdb_operator"), order(session))
    second = open_session(conn, "second")
    assert "another session" in str(judged(conn, order(second, authorisation_id=found))[1])


def test_authorisation_expires(conn, session, connect_as):
    found = authorise(connect_as("tsdb_operator"), order(session))
    named = order(session, authorisation_id=found)
    last = LATER - timedelta(microseconds=1)
    assert judged(conn, named, now=last) == (found, None)
    assert judged(conn, named, now=LATER) == (None, f"authorisation {found} expired")


def test_authorisation_is_used_once_and_stays_with_its_order(conn, session, connect_as):
    found = authorise(connect_as("tsdb_operator"), order(session))
    named = order(session, authorisation_id=found)
    order_id = submit(conn, named)[0][0]
    use = "select risk._use_authorisation(%s, %s)"
    conn.execute(use, (found, order_id))
    assert judged(conn, named) == (None, f"authorisation {found} was used by order {order_id}")
    after = LATER + timedelta(days=1)
    assert judged(conn, named, order_id=order_id, now=after) == (found, None), "for a replace"
    assert judged(conn, named, order_id=order_id + 1)[0] is None
    row = conn.execute(
        "select (risk._restate_order(o)).authorisation_id from oms.orders o where order_id = %s",
        (order_id,),
    ).fetchone()
    assert row == (found,)
    with pytest.raises(psycopg.Error, match="used or revoked meanwhile") as caught:
        conn.execute(use, (found, order_id))
    assert caught.value.sqlstate == "TT004"
    with pytest.raises(psycopg.Error, match="cancel that") as caught:
        conn.execute("select risk.revoke_authorisation(%s, 'r')", (found,))
    assert caught.value.sqlstate == "TT004"


def test_authorisation_is_spent_by_one_of_two_at_once(conn, session, connect_as):
    found = authorise(connect_as("tsdb_operator"), order(session))
    ids = [submit(conn, order(session))[0][0] for _ in range(2)]
    first, second = connect_as("tsdb_trader", autocommit=False), connect_as("tsdb_trader")
    use = "select risk._use_authorisation(%s, %s)"
    first.execute(use, (found, ids[0]))
    result: list[str | None] = []

    def late() -> None:
        try:
            second.execute(use, (found, ids[1]))
        except psycopg.Error as error:
            result.append(error.sqlstate)

    waiter = threading.Thread(target=late)
    waiter.start()
    wait_for_lock(conn, second)
    first.commit()
    waiter.join(30)
    assert result == ["TT004"]


def test_revoked_authorisation_is_of_no_use(conn, session, connect_as):
    operator = connect_as("tsdb_operator")
    found = authorise(operator, order(session))
    revoke = "select risk.revoke_authorisation(%s, 'second thoughts')"
    assert operator.execute(revoke, (found,)).fetchone() == (True,)
    assert operator.execute(revoke, (found,)).fetchone() == (False,)
    assert judged(conn, order(session, authorisation_id=found)) == (
        None,
        f"authorisation {found} was revoked by tsdb_operator",
    )
    with pytest.raises(psycopg.Error) as caught:
        conn.execute("select risk._use_authorisation(%s, 1)", (found,))
    assert caught.value.sqlstate == "TT004"


def test_nobody_is_his_own_second_person(conn, session, connect_as):
    operator = connect_as("tsdb_operator")
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="another person"):
        authorise(operator, order(session, operator="tsdb_operator"))
    found = authorise(operator, order(session))
    conn.execute("grant usage on schema risk to tsdb_operator")
    conn.execute(
        "grant execute on function risk._authorisation_for(risk.order_request, text[], timestamptz, "
        "bigint), risk._read_order(jsonb), risk._check_terms(risk.order_request) to tsdb_operator"
    )
    assert judged(operator, order(session, authorisation_id=found)) == (
        None,
        f"authorisation {found} is by the person who submits the order",
    )
    assert judged(conn, order(session, authorisation_id=found)) == (found, None)
    by_name = order(session, authorisation_id=found, operator="tsdb_operator")
    assert judged(conn, by_name)[0] is None


@pytest.mark.parametrize("role", ["worker", "quant", "readonly", "venue"])
@pytest.mark.parametrize(
    "call",
    [
        "risk.authorise_order('{}', '{order_value}', 'r', 'tomorrow')",
        "risk.revoke_authorisation(1, 'r')",
        "risk.restrict('IBM', 'r')",
        "risk.unrestrict(1, 'r')",
        "risk.add_locate('main', 'IBM', '2013-10-08', 1, 'p', 'r')",
        "risk.withdraw_locate(1, 'r')",
        "risk.set_price_band('IBM', 1, 2, 'r')",
    ],
)
def test_what_persons_decide_is_closed_to_all_others(connect_as, role, call):
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        connect_as(f"tsdb_{role}").execute(f"select {call}")


@pytest.mark.parametrize(
    ("changes", "controls", "reason", "expires_at", "sqlstate"),
    [
        ({"quantity": "NaN"}, None, "r", LATER, "TT001"),
        ({"account": "nobody"}, None, "r", LATER, "TT002"),
        ({"authorisation_id": 7}, None, "r", LATER, "TT002"),
        ({}, [], "r", LATER, "TT001"),
        ({}, ["luck"], "r", LATER, "TT002"),
        ({}, [None], "r", LATER, "TT002"),
        ({}, ["order_value", "halt"], "r", LATER, "TT001"),
        ({}, None, "", LATER, "TT001"),
        ({}, None, None, LATER, "TT001"),
        ({}, None, "r", None, "TT001"),
        ({}, None, "r", "infinity", "TT001"),
        ({}, None, "r", datetime(2013, 10, 8, tzinfo=UTC), "TT001"),
    ],
)
def test_unusable_authorisation_is_refused(
    conn, session, changes, controls, reason, expires_at, sqlstate
):
    with pytest.raises(psycopg.Error) as caught:
        authorise(conn, order(session, **changes), controls, reason, expires_at)
    assert caught.value.sqlstate == sqlstate
    assert conn.execute("select count(*) from risk.authorisations").fetchone() == (0,)


def test_order_to_be_authorised_cannot_name_an_authorisation(conn, session):
    found = authorise(conn, order(session))
    with pytest.raises(psycopg.Error, match="names no authorisation_id") as caught:
        authorise(conn, order(session, authorisation_id=found))
    assert caught.value.sqlstate == "TT001"


@pytest.mark.parametrize(("value", "sqlstate"), [(99, "TT002"), ("seven", "TT001")])
def test_order_with_an_unusable_authorisation_id_is_refused(conn, session, value, sqlstate):
    with pytest.raises(psycopg.Error) as caught:
        submit(conn, order(session, authorisation_id=value))
    assert caught.value.sqlstate == sqlstate


@pytest.mark.parametrize(
    ("call", "sqlstate"),
    [
        ("risk.revoke_authorisation(1, 'r')", "TT002"),
        ("risk.revoke_authorisation(null, 'r')", "TT002"),
        ("risk.revoke_authorisation(1, '')", "TT001"),
        ("risk.restrict('NONE', 'r')", "TT002"),
        ("risk.restrict(null, 'r')", "TT002"),
        ("risk.restrict('IBM', '')", "TT001"),
        ("risk.restrict('IBM', 'r', 'nobody')", "TT002"),
        ("risk.restrict('IBM', 'r', p_side => 'short')", "TT001"),
        ("risk.restrict('IBM', 'r', null, null, '2013-10-08', '2013-10-08')", "TT001"),
        ("risk.restrict('IBM', 'r', null, null, null)", "TT001"),
        ("risk.unrestrict(1, 'r')", "TT002"),
        ("risk.unrestrict(1, null)", "TT001"),
        ("risk.add_locate('nobody', 'IBM', '2013-10-08', 1, 'p', 'r')", "TT002"),
        ("risk.add_locate(null, 'IBM', '2013-10-08', 1, 'p', 'r')", "TT001"),
        ("risk.add_locate('main', 'NONE', '2013-10-08', 1, 'p', 'r')", "TT002"),
        ("risk.add_locate('main', 'IBM', null, 1, 'p', 'r')", "TT001"),
        ("risk.add_locate('main', 'IBM', 'infinity', 1, 'p', 'r')", "TT001"),
        ("risk.add_locate('main', 'IBM', '2013-10-08', 0, 'p', 'r')", "TT001"),
        ("risk.add_locate('main', 'IBM', '2013-10-08', 'NaN', 'p', 'r')", "TT001"),
        ("risk.add_locate('main', 'IBM', '2013-10-08', null, 'p', 'r')", "TT001"),
        ("risk.add_locate('main', 'IBM', '2013-10-08', 1, ' ', 'r')", "TT001"),
        ("risk.add_locate('main', 'IBM', '2013-10-08', 1, 'p', null)", "TT001"),
        ("risk.withdraw_locate(1, 'r')", "TT002"),
        ("risk.withdraw_locate(1, '')", "TT001"),
        ("risk.set_price_band('NONE', 1, 2, 'r')", "TT002"),
        ("risk.set_price_band('IBM', 2, 2, 'r')", "TT001"),
        ("risk.set_price_band('IBM', 0, 2, 'r')", "TT001"),
        ("risk.set_price_band('IBM', 1, null, 'r')", "TT001"),
        ("risk.set_price_band('IBM', null, 2, 'r')", "TT001"),
        ("risk.set_price_band('IBM', 1, 'NaN', 'r')", "TT001"),
        ("risk.set_price_band('IBM', 1, 'infinity', 'r')", "TT001"),
        ("risk.set_price_band('IBM', 1, 2, '')", "TT001"),
        ("risk.set_price_band('IBM', 1, 2, 'r', '2013-10-08', '2013-10-07')", "TT001"),
        (
            "risk.set_price_band('IBM', 1, 2, 'r', "
            "p_session_id => '00000000-0000-0000-0000-000000000009')",
            "TT002",
        ),
    ],
)
def test_unusable_entry_of_a_list_is_refused(conn, session, call, sqlstate):
    with pytest.raises(psycopg.Error) as caught:
        conn.execute(sql.SQL("select {}").format(sql.SQL(call)))
    assert caught.value.sqlstate == sqlstate


def test_restriction_is_on_the_list_until_a_person_lifts_it(conn, session, connect_as):
    operator = connect_as("tsdb_operator")
    [(number,)] = operator.execute(
        "select risk.restrict('IBM', 'an offer', 'main', 'sell_short', %s)", (AS_OF,)
    ).fetchall()
    row = "select account, side, reason, set_by, valid_from, lifted_by from risk.restrictions"
    entry = ("main", "sell_short", "an offer", "tsdb_operator", AS_OF)
    assert conn.execute(row + " where lifted_at is null").fetchall() == [(*entry, None)]
    lift = "select risk.unrestrict(%s, 'over')"
    assert operator.execute(lift, (number,)).fetchone() == (True,)
    assert operator.execute(lift, (number,)).fetchone() == (False,)
    assert conn.execute(row + " where lift_reason = 'over'").fetchall() == [
        (*entry, "tsdb_operator")
    ]


def test_locate_is_counted_once_until_it_is_withdrawn(conn, session, connect_as):
    operator = connect_as("tsdb_operator")
    add = "select risk.add_locate('main', 'IBM', '2013-10-08', %s, 'lender', 'L1')"
    [(number,)] = operator.execute(add, (500,)).fetchall()
    assert operator.execute(add, (500,)).fetchone() == (number,)
    with pytest.raises(psycopg.Error, match="is for 500: withdraw it first") as caught:
        operator.execute(add, (600,))
    assert caught.value.sqlstate == "TT006"
    withdraw = "select risk.withdraw_locate(%s, 'recalled')"
    assert operator.execute(withdraw, (number,)).fetchone() == (True,)
    assert operator.execute(withdraw, (number,)).fetchone() == (False,)
    [(again,)] = operator.execute(add, (600,)).fetchall()
    assert again != number
    assert conn.execute(
        "select trading_date, sum(quantity) from risk.locates where withdrawn_at is null group by 1"
    ).fetchall() == [(date(2013, 10, 8), 600)]


def bands(conn: psycopg.Connection, at: datetime, session: uuid.UUID | None) -> Iterator[Any]:
    yield from conn.execute(
        "select low, high from risk.price_bands where superseded_at = 'infinity' "
        "and %s >= valid_from and %s < valid_to and session_id is not distinct from %s",
        (at, at, session),
    ).fetchall()


def test_price_band_over_a_range_leaves_what_was_set_outside_it(conn, session):
    hour = timedelta(hours=1)
    band = "select risk.set_price_band('IBM', %s, %s, 'r', %s, %s, %s)"
    conn.execute(band, (90, 110, "-infinity", "infinity", None))
    conn.execute(band, (95, 105, AS_OF, AS_OF + hour, None))
    conn.execute(band, (99, 101, AS_OF, AS_OF + hour, session))
    conn.execute(band, (None, None, AS_OF + hour / 2, AS_OF + hour, None))
    times = (AS_OF - hour, AS_OF, AS_OF + hour / 2, AS_OF + hour)
    assert [list(bands(conn, at, None)) for at in times] == [
        [(90, 110)],
        [(95, 105)],
        [],
        [(90, 110)],
    ]
    assert [list(bands(conn, at, session)) for at in times] == [[], [(99, 101)], [(99, 101)], []]


def test_two_persons_setting_a_price_band_at_once_leave_one(conn, session, connect_as):
    first, second = connect_as("tsdb_operator", autocommit=False), connect_as("tsdb_operator")
    first.execute("select risk.set_price_band('IBM', 90, 110, 'r')")
    waiter = threading.Thread(
        target=lambda: second.execute("select risk.set_price_band('IBM', 95, 105, 'r')")
    )
    waiter.start()
    wait_for_lock(conn, second)
    first.commit()
    waiter.join(30)
    assert list(bands(conn, AS_OF, None)) == [(95, 105)]
