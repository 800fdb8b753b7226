"""Two submitters at once: the last unit is taken once."""

from __future__ import annotations

import random
import threading
import uuid
from collections import Counter
from collections.abc import Callable

import psycopg

from factories import AS_OF, Venue, open_session, order, set_quote, submit


def test_two_submitters_cannot_both_take_the_last_unit(conn, connect_as):
    session = open_session(conn)
    set_quote(conn, session)
    conn.execute("select risk.set_limit('position', '{}', 100, 'test')")
    first = connect_as("operator", autocommit=False)
    second = connect_as("operator", autocommit=False)
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
    gateway, submitter = connect_as(None, autocommit=False), connect_as("operator")
    venue = Venue(conn, order_id)
    venue.conn = gateway
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
    first, second = connect_as("operator", autocommit=False), connect_as("operator")
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
        connection = connect_as("operator")
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


def test_end_of_a_session_locks_its_accounts_in_the_order_of_all_others(conn, connect_as):
    session = open_session(conn)
    set_quote(conn, session)
    conn.execute("insert into ref.accounts (account) values ('other')")
    # The younger order is the one of the account that everybody locks first.
    for account in ("other", "main"):
        order_id = submit(conn, order(session, quantity="1", account=account))[0][0]
        Venue(conn, order_id).report("new")
    submitter, ender = connect_as(None, autocommit=False), connect_as(None)
    lock = "select oms._lock_account(%s, %s)"
    submitter.execute(lock, (session, "main"))
    result: list[object] = []
    waiter = threading.Thread(
        target=lambda: result.append(
            ender.execute("select ops.finish_session(%s)", (session,)).fetchone()
        )
    )
    waiter.start()
    wait_for_lock(conn, ender)
    submitter.execute(lock, (session, "other"))
    submitter.commit()
    waiter.join(30)
    assert result == [("cancelling",)]


def test_position_limit_holds_at_every_commit_of_submitters_cancels_fills_and_recovery(
    conn, connect_as
):
    """Two submitters, a venue and an operator at once; every commit is checked from the rows."""
    session = open_session(conn)
    set_quote(conn, session)
    conn.execute("select risk.set_limit('position', '{}', 300, 'test')")
    watch_every_commit(conn, 300)
    storm = Storm(session)
    works = (
        (storm.submit, "operator"), (storm.submit, "operator"),
        # The owner: a gateway cannot read the orders that this one picks from.
        (storm.cancel, None), (storm.answer, None),
    )  # fmt: skip
    threads = [
        threading.Thread(target=storm.run, args=(work, connect_as(role), random.Random(number)))
        for number, (work, role) in enumerate(works)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert storm.failures == []
    assert storm.statuses["pending_new"] > 10
    assert storm.statuses["denied"] > 10
    assert conn.execute("select count(*) > 10 from oms.executions").fetchone() == (True,)
    assert conn.execute(
        "select invariant, passed from ops.check_invariants(%s) where invariant ~ '^position and'",
        (session,),
    ).fetchall() == [("position and cash = sum of the signed executions", True)]


class Storm:
    """Everything that moves an account's risk, until the venue has answered often enough."""

    def __init__(self, session: uuid.UUID) -> None:
        self.session = session
        self.over = threading.Event()
        self.failures: list[BaseException] = []
        self.statuses: Counter[str] = Counter()

    def run(
        self,
        work: Callable[[psycopg.Connection, random.Random], None],
        connection: psycopg.Connection,
        rng: random.Random,
    ) -> None:
        try:
            work(connection, rng)
        except BaseException as error:
            self.failures.append(error)
        finally:
            self.over.set()

    def submit(self, connection: psycopg.Connection, rng: random.Random) -> None:
        while not self.over.is_set():
            side = rng.choice(("buy", "sell_short"))
            basket = [
                order(self.session, side=side, quantity=str(rng.randint(1, 150)))
                for _ in range(rng.randint(1, 2))
            ]
            self.statuses.update(status for _, status, _ in submit(connection, basket))

    def cancel(self, connection: psycopg.Connection, rng: random.Random) -> None:
        while not self.over.is_set():
            order_id = pick(connection, rng, "status in ('pending_new', 'new', 'partially_filled')")
            if order_id is not None:
                connection.execute(
                    "select oms.cancel_order(%s, %s, %s)", (order_id, uuid.uuid4(), AS_OF)
                )
            if rng.random() < 0.03:
                connection.execute("select * from oms.begin_recovery('SIM')")

    def answer(self, connection: psycopg.Connection, rng: random.Random) -> None:
        venues: dict[int, Venue] = {}
        answers = 0
        while answers < 300 and not self.over.is_set():
            order_id = pick(connection, rng, "status not in ('denied', 'filled', 'cancelled')")
            if order_id is not None:
                answer_somehow(venues.setdefault(order_id, Venue(connection, order_id)), rng)
                answers += 1


def answer_somehow(venue: Venue, rng: random.Random) -> None:
    """Report what a venue could: a fill of no more than what is left, an end, or an answer."""
    row = venue.conn.execute(
        "select status, leaves_quantity::integer, cumulative_quantity::integer from oms.orders "
        "where order_id = %s",
        (venue.order_id,),
    ).fetchone()
    assert row is not None
    status, left, venue.cumulative = row
    chance = rng.random()
    if status == "unknown":
        venue.status("partially_filled" if venue.cumulative else "new")
    elif chance < 0.5 and left > 0:
        venue.fill(rng.randint(1, left))
    elif chance < 0.7:
        venue.report("cancelled")
    else:
        venue.report("new")


def pick(connection: psycopg.Connection, rng: random.Random, condition: str) -> int | None:
    """Return one of the orders of a condition."""
    rows = connection.execute(f"select order_id from oms.orders where {condition}").fetchall()
    return rng.choice(rows)[0] if rows else None


def watch_every_commit(conn: psycopg.Connection, limit: int) -> None:
    """Fail any transaction at whose commit an instrument's position and working orders exceed it.

    Deferred triggers look at the rows of other transactions too: the account's lock is what must
    make that picture complete.
    """
    conn.execute(
        """
        create function public.check_exposure() returns trigger language plpgsql security definer as $$
        declare
            v_long numeric;
            v_short numeric;
        begin
            select coalesce(sum(p.quantity), 0), coalesce(sum(p.quantity), 0) into v_long, v_short
            from portfolio._positions p where p.session_id = new.session_id;
            select v_long + coalesce(sum(o.leaves_quantity) filter (where o.side = 'buy'), 0),
                v_short - coalesce(sum(o.leaves_quantity) filter (where o.side <> 'buy'), 0)
            into v_long, v_short
            from oms.orders o where o.session_id = new.session_id and o.status <> 'denied';
            if greatest(v_long, -v_short) > tg_argv[0]::numeric then
                raise exception 'exposure % to % is over %', v_short, v_long, tg_argv[0];
            end if;
            return null;
        end $$
        """
    )
    for table in ("oms.orders", "portfolio._positions"):
        conn.execute(
            f"create constraint trigger check_exposure after insert or update on {table} "
            "deferrable initially deferred for each row "
            f"execute function public.check_exposure({limit})"
        )
