"""Two submitters at once: the last unit is taken once."""

from __future__ import annotations

import threading
import uuid

import psycopg

from factories import Venue, open_session, order, set_quote, submit


def test_two_submitters_cannot_both_take_the_last_unit(conn, connect_as):
    session = open_session(conn)
    set_quote(conn, session)
    conn.execute("select risk.set_limit('position', '{}', 100, 'test')")
    first, second = connect_as("worker", autocommit=False), connect_as("worker", autocommit=False)
    assert submit(first, order(session))[0][1] == "pending_new"
    result: list[str] = []
    waiter = threading.Thread(
        target=lambda: result.append(submit(second, order(session, quantity="1"))[0][1])
    )
    waiter.start()
    wait_for_lock(conn, second)
    assert result == [], "the second submitter waits for the first one's transaction"
    first.commit()
    waiter.join(30)
    assert result == ["denied"]


def test_submitter_waits_for_a_fill_being_booked(conn, connect_as):
    session = open_session(conn)
    set_quote(conn, session)
    conn.execute("select risk.set_limit('position', '{}', 100, 'test')")
    order_id = submit(conn, order(session))[0][0]
    gateway, submitter = connect_as("worker", autocommit=False), connect_as("worker")
    venue = Venue(gateway, order_id)
    venue.report("new")
    venue.fill(40)
    venue.report("cancelled")
    result: list[str] = []
    waiter = threading.Thread(
        target=lambda: result.append(submit(submitter, order(session, quantity="60"))[0][1])
    )
    waiter.start()
    wait_for_lock(conn, submitter)
    gateway.commit()
    waiter.join(30)
    assert result == ["pending_new"], "60 free beside the 40 filled; 0 had the old state been seen"


def test_same_request_from_two_connections_makes_one_order(conn, connect_as):
    session = open_session(conn)
    set_quote(conn, session)
    request = uuid.uuid4()
    first, second = connect_as("worker", autocommit=False), connect_as("worker")
    made = submit(first, order(session), request_id=request)
    result: list[object] = []
    waiter = threading.Thread(
        target=lambda: result.append(submit(second, order(session), request_id=request))
    )
    waiter.start()
    wait_for_lock(conn, second)
    first.commit()
    waiter.join(30)
    assert result == [made]


def test_opposite_baskets_do_not_deadlock(conn, connect_as):
    session = open_session(conn)
    set_quote(conn, session)
    conn.execute("insert into ref.accounts (account) values ('other')")
    legs = [order(session, quantity="1"), order(session, quantity="1", account="other")]
    failures: list[BaseException] = []

    def run(basket: list[dict[str, str]]) -> None:
        connection = connect_as("worker")
        try:
            for _ in range(30):
                submit(connection, basket)
        except psycopg.Error as error:
            failures.append(error)

    threads = [
        threading.Thread(target=run, args=(basket,)) for basket in (legs, list(reversed(legs)))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failures == []
    assert conn.execute("select count(*) from oms.orders").fetchone() == (120,)


def wait_for_lock(conn: psycopg.Connection, waiting: psycopg.Connection) -> None:
    """Return when a connection waits for a lock; the test's timeout is the limit."""
    pid = waiting.info.backend_pid
    statement = "select exists (select from pg_locks where pid = %s and not granted)"
    while conn.execute(statement, (pid,)).fetchone() != (True,):
        threading.Event().wait(0.005)
