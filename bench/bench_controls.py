"""What the pre-trade controls cost: `oms.submit_order` in one transaction, against a bare insert of the order.

All in one transaction of one connection, so that no commit is in the figures. The limit is the insert of
the same row into a copy of `oms.orders` with its indexes, the fewest statements that keep an order. Then the
same submission with every optional control in force, and with many limits on other accounts and symbols,
whose number must not matter.
"""

from __future__ import annotations

import statistics
import time
import uuid
from collections.abc import Callable

import psycopg
from psycopg.types.json import Jsonb

from _rig import Market, rig

ORDERS = 300
LIMITS = (10, 100, 1_000, 10_000)
OPTIONS = (
    "min_quantity", "min_value", "price_walk", "message_rate_account", "message_rate_strategy",
    "message_rate_venue", "submit_rate", "duplicate_order", "repeated_execution", "gross_exposure",
    "net_exposure", "name_exposure", "credit", "capital", "buying_power", "locate", "self_match",
)  # fmt: skip
FLOORS = ("min_quantity", "min_value", "self_match")


def median_us(conn: psycopg.Connection, work: Callable[[], object]) -> float:
    """Return the median microseconds of a call, within a transaction that is rolled back."""
    took = []
    with conn.transaction(force_rollback=True):
        for number in range(30 + ORDERS):
            # Undone each time: the working orders of the account would pile up, and each is looked at.
            with conn.transaction(force_rollback=True):
                began = time.perf_counter()
                work()
                if number >= 30:
                    took.append(time.perf_counter() - began)
    return statistics.median(took) * 1e6


def main() -> None:
    with rig() as r, r.connect() as conn:
        market = Market(conn)
        market.quote()
        as_of = conn.execute("select max(ts) from market.latest_quotes").fetchone()[0]
        order = Jsonb(
            {
                "session_id": str(market.session_id), "account": "main", "strategy": "manual",
                "origin": "operator", "operator": "bench", "symbol": "AAA", "side": "buy",
                "quantity": "100", "order_type": "limit", "limit_price": "100.01",
            }
        )  # fmt: skip
        conn.execute("select risk.set_limit('position', '{}', 1000000000, 'benchmark')")

        def submit() -> None:
            conn.execute("select * from oms.submit_order(%s, %s, %s)", (order, uuid.uuid4(), as_of))

        def check() -> None:
            conn.execute("select * from risk.check_order(%s, %s)", (order, as_of)).fetchall()

        def nothing() -> None:
            conn.execute(
                "select %s::jsonb, %s::uuid, %s::timestamptz", (order, uuid.uuid4(), as_of)
            )

        submit()
        conn.execute("create temporary table bare (like oms.orders including all)")
        columns = [
            name
            for (name,) in conn.execute(
                "select attname from pg_attribute where attrelid = 'oms.orders'::regclass "
                "and attnum > 0 and not attisdropped and attgenerated = '' and attname <> 'order_id'"
            )
        ]
        own = {
            "cl_ord_id": "'B' || currval('oms.orders_order_id_seq')",
            "request_id": "gen_random_uuid()",
        }
        values = ", ".join(own.get(name, name) for name in columns)

        def insert() -> None:
            conn.execute(
                f"insert into bare (order_id, {', '.join(columns)}) overriding system value "
                f"select nextval('oms.orders_order_id_seq'), {values} from oms.orders limit 1"
            )

        empty = median_us(conn, nothing)
        bare = median_us(conn, insert)
        print(f"one round trip to the database: {empty:.0f} us")
        print(
            f"bare insert of the order (the limit): {bare:.0f} us, {bare - empty:.0f} without the round trip"
        )
        dry = median_us(conn, check)
        whole = median_us(conn, submit)
        print(f"risk.check_order, shipped limits: {dry:.0f} us")
        print(
            f"oms.submit_order, shipped limits: {whole:.0f} us, over the limit: {whole - bare:.0f} us"
        )
        for control in OPTIONS:
            value = 0 if control in FLOORS else 1_000_000_000
            if control == "self_match":
                value = 1_000_000_000
            conn.execute("select risk.set_limit(%s, '{}', %s, 'benchmark')", (control, value))
        every = median_us(conn, submit)
        print(
            f"oms.submit_order, every optional control: {every:.0f} us, over the limit: {every - bare:.0f} us"
        )
        for control in OPTIONS:
            conn.execute("select risk.set_limit(%s, '{}', null, 'benchmark')", (control,))
        there = 0
        for count in LIMITS:
            for table, column, letter in (
                ("accounts", "account", "a"),
                ("instruments", "symbol", "S"),
            ):
                conn.execute(
                    f"insert into ref.{table} ({column}) select '{letter}' || n "
                    "from generate_series(%s::int, %s) n",
                    (there + 1, count),
                )
            conn.execute(
                "select risk.set_limit('order_quantity', jsonb_build_object('symbol', 'S' || n, 'account', 'a' || n), "
                "1000, 'benchmark') from generate_series(%s::int, %s) n",
                (there + 1, count),
            )
            there = count
            many = median_us(conn, submit)
            print(
                f"oms.submit_order, {count} limits more: {many:.0f} us, {many / whole:.2f} of that with the shipped ones"
            )
        print(
            f"ratio: {whole / bare:.1f} (aim: less than 100 us over the limit; it is {whole - bare:.0f})"
        )


if __name__ == "__main__":
    main()
