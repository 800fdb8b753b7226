"""The last unit of every limit is taken once, by accounts that share it too, at every isolation level."""

from __future__ import annotations

import threading
import uuid
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

from concurrency.test_limits import wait_for_lock
from factories import AS_OF, Venue, open_session, order, set_quote, submit

# Room for one order of 100 at 100.01, of whichever account comes first where accounts share it.
ONE_ORDER = {
    "position": (100, False),
    "gross_exposure": (10_001, False),
    "net_exposure": (10_001, False),
    "sector_exposure": (10_001, False),
    "name_exposure": (10_001, False),
    "credit": (10_001, False),
    "buying_power": (10_001, False),
    "submit_rate": (1, False),
    "duplicate_order": (1, False),
    "message_rate_account": (1, False),
    "message_rate_strategy": (1, True),
    "message_rate_venue": (1, True),
    "capital": (10_001, True),
}


@pytest.fixture
def session(conn: psycopg.Connection) -> uuid.UUID:
    session_id = open_session(conn)
    set_quote(conn, session_id)
    conn.execute("insert into ref.accounts (account) values ('other')")
    conn.execute("update ref.instruments set sector = 'tech'")
    return session_id


def second_after_first(
    conn: psycopg.Connection,
    connect_as: Any,
    spec: dict[str, Any],
    other: dict[str, Any],
    first_work: Any = None,
) -> list[Any]:
    """Submit one order, and another from a second connection before the first commits."""
    role = "operator" if first_work is None else "worker_gateway"
    first, second = connect_as(role, autocommit=False), connect_as("operator")
    if first_work is None:
        assert submit(first, spec)[0][1] == "pending_new"
    else:
        first_work(first)
    result: list[Any] = []
    waiter = threading.Thread(target=lambda: result.extend(submit(second, other)))
    waiter.start()
    wait_for_lock(conn, second)
    assert result == [], "the second waits for the first one's transaction"
    first.commit()
    waiter.join(30)
    return result


@pytest.mark.parametrize("control", ONE_ORDER)
def test_two_submitters_cannot_both_take_the_last_unit_of(conn, connect_as, session, control):
    value, shared = ONE_ORDER[control]
    conn.execute("select risk.set_limit(%s, '{}', %s, 'test')", (control, value))
    other = order(session, account="other" if shared else "main")
    [(_, status, reasons)] = second_after_first(conn, connect_as, order(session), other)
    assert status == "denied"
    assert [r.split(":")[0] for r in reasons] == [control]


def test_limit_set_while_an_order_is_under_way_waits_for_it(conn, connect_as, session):
    """Set at once, it would hold for the next order without counting the one under way."""
    first, setter = connect_as("operator", autocommit=False), connect_as("tsdb_risk")
    assert submit(first, order(session))[0][1] == "pending_new"
    setting = threading.Thread(
        target=lambda: setter.execute("select risk.set_limit('capital', '{}', 10001, 'test')")
    )
    setting.start()
    wait_for_lock(conn, setter)
    assert conn.execute(
        "select count(*) from risk.limits where control = 'capital'"
    ).fetchone() == (0,)
    first.commit()
    setting.join(30)
    [(_, status, reasons)] = submit(conn, order(session, account="other", quantity="1"))
    assert (status, [r.split(":")[0] for r in reasons]) == ("denied", ["capital"])


def test_order_waits_for_a_shared_limit_that_is_being_set(conn, connect_as, session):
    setter = connect_as("tsdb_risk", autocommit=False)
    setter.execute("select risk.set_limit('capital', '{}', 9999, 'test')")
    submitter = connect_as("operator")
    result: list[Any] = []
    waiter = threading.Thread(target=lambda: result.extend(submit(submitter, order(session))))
    waiter.start()
    wait_for_lock(conn, submitter)
    setter.commit()
    waiter.join(30)
    assert [row[1] for row in result] == ["denied"]


def test_short_sellers_cannot_both_take_the_last_located_share(conn, connect_as, session):
    conn.execute("select risk.set_limit('locate', '{}', 0, 'test')")
    conn.execute("select risk.add_locate('main', 'IBM', %s, 100, 'prime', 'L1')", (AS_OF.date(),))
    short = order(session, side="sell_short", limit_price="100")
    [(_, status, _)] = second_after_first(conn, connect_as, short, short)
    assert status == "denied"


def test_two_accounts_cannot_trade_with_each_other_when_submitted_at_once(
    conn, connect_as, session
):
    conn.execute("select risk.set_limit('self_match', '{}', 0, 'test')")
    sell = order(session, side="sell", limit_price="100", account="other")
    [(_, status, _)] = second_after_first(conn, connect_as, order(session), sell)
    assert status == "denied"


def test_fill_arriving_meanwhile_takes_the_unit_once(conn, connect_as, session):
    conn.execute("select risk.set_limit('gross_exposure', '{}', 10000, 'test')")
    order_id = submit(conn, order(session, limit_price="100.00"))[0][0]

    def fill_a_part(gateway: psycopg.Connection) -> None:
        venue = Venue(conn, order_id)
        venue.conn = gateway
        venue.report("new")
        venue.fill(40, "100")
        venue.report("cancelled")

    more = order(session, quantity="60", limit_price="100.00")
    rows = second_after_first(conn, connect_as, {}, more, fill_a_part)
    assert rows[0][1] == "pending_new", "60 are free beside the 40 filled"
    assert submit(conn, order(session, quantity="1"))[0][1] == "denied"


def test_accounts_without_a_shared_limit_do_not_wait_for_each_other(conn, connect_as, session):
    # The first row of a hypertable makes a chunk, for which the second would wait.
    submit(conn, order(session, quantity="1"))
    first, second = connect_as("operator", autocommit=False), connect_as("operator")
    assert submit(first, order(session))[0][1] == "pending_new"
    second.execute("set lock_timeout = '5 s'")
    assert submit(second, order(session, account="other"))[0][1] == "pending_new"


@pytest.mark.parametrize(
    "level",
    [psycopg.IsolationLevel.REPEATABLE_READ, psycopg.IsolationLevel.SERIALIZABLE],
)
def test_other_isolation_levels_are_refused_everywhere(conn, connect_as, session, level):
    order_id = submit(conn, order(session))[0][0]
    worker = connect_as("operator", autocommit=False)
    worker.isolation_level = level
    calls = (
        ("select oms.submit_order(%s, gen_random_uuid(), %s)", (Jsonb(order(session)), AS_OF)),
        ("select oms.submit_basket(%s, gen_random_uuid(), %s)", (Jsonb([order(session)]), AS_OF)),
        ("select oms.replace_order(%s, '{\"quantity\": 1}', gen_random_uuid(), %s)", (order_id, AS_OF)),
        ("select oms.cancel_order(%s, gen_random_uuid(), %s)", (order_id, AS_OF)),
        ("select oms.cancel_all('{}', gen_random_uuid(), %s)", (AS_OF,)),
    )  # fmt: skip
    for statement, arguments in calls:
        with pytest.raises(psycopg.Error) as caught:
            worker.execute(statement, arguments)
        assert caught.value.sqlstate == "TT003"
        worker.rollback()


def test_read_uncommitted_is_read_committed(conn, connect_as, session):
    worker = connect_as("operator", autocommit=False)
    worker.isolation_level = psycopg.IsolationLevel.READ_UNCOMMITTED
    with pytest.raises(psycopg.Error) as caught:
        submit(worker, order(session))
    assert caught.value.sqlstate == "TT003", "all but READ COMMITTED is refused, in name too"


def test_baskets_and_signals_under_shared_limits_do_not_deadlock(conn, connect_as, session):
    for control in ("capital", "message_rate_venue"):
        conn.execute("select risk.set_limit(%s, '{}', 100000000, 'test')", (control,))
    legs = [order(session, quantity="1"), order(session, quantity="1", account="other")]
    failures: list[BaseException] = []

    def run(baskets: list[list[dict[str, Any]]]) -> None:
        connection = connect_as("operator")
        try:
            for number in range(40):
                submit(connection, baskets[number % len(baskets)])
        except psycopg.Error as error:
            failures.append(error)

    works = ([legs], [list(reversed(legs))], [legs[:1], legs[1:]])
    threads = [threading.Thread(target=run, args=(list(w),)) for w in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failures == []
