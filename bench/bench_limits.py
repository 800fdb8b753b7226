"""The limits and the state that cover an order: what the look-up costs with more and more of them.

The limits are on accounts, symbols, and both; five of them cover the order, whatever their number. The limit of
what is possible is one row read by its primary key, in a loop of the same language.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg.types.json import Jsonb

from tsdb_trader import embedded, schema

CALLS, ROUNDS = 5000, 7
COUNTS = (10, 100, 1000, 10_000)
AS_OF = "2013-10-08T14:30Z"
STATEMENTS = {
    "empty loop": "v_count := n",
    "row by its key": "select c.unit into v_unit from risk.controls c where c.control = v_control",
    "keys": "v_keys := risk._scope_keys(v_order)",
    "limits": """
        select min(l.value) filter (where l.control = 'order_quantity'),
            min(l.value) filter (where l.control = 'position') into v_a, v_b
        from risk._limits_of(v_keys, v_as_of) l""",
    "state": "select s.state, s.reason into v_unit, v_control from risk._state_of(v_keys) s",
}


@contextmanager
def database() -> Iterator[psycopg.Connection]:
    """Yield a connection to a migrated database that is dropped afterwards."""
    server = embedded.ensure_running()
    name = f"tsdb_bench_{uuid.uuid4().hex[:8]}"
    server.create_database(name)
    try:
        schema.migrate(server.url(database=name))
        with psycopg.connect(server.url(database=name), autocommit=True) as conn:
            yield conn
    finally:
        server.drop_database(name)


def prepare(conn: psycopg.Connection) -> None:
    """Create a function per statement that runs it so often and returns the microseconds of one."""
    for number, statement in enumerate(STATEMENTS.values()):
        conn.execute(
            f"""create function pg_temp.run_{number}(p_calls integer) returns double precision
            language plpgsql as $$
            declare
                v_order risk.order_request;
                v_as_of constant timestamptz := '{AS_OF}';
                v_began timestamptz := clock_timestamp();
                v_unit text; v_control text := 'position'; v_a numeric; v_b numeric; v_count integer;
                v_keys text[];
            begin
                v_order.session_id := gen_random_uuid();
                v_order.account := 'a0'; v_order.strategy := 'manual';
                v_order.symbol := 'S0'; v_order.venue := 'SIM';
                v_keys := risk._scope_keys(v_order);
                for n in 1 .. p_calls loop
                    {statement};
                end loop;
                return extract(epoch from clock_timestamp() - v_began) * 1e6 / p_calls;
            end $$"""
        )


def add_names(conn: psycopg.Connection, count: int) -> None:
    """Insert the accounts and symbols that the scopes name."""
    for table, column, letter in (("accounts", "account", "a"), ("instruments", "symbol", "S")):
        conn.execute(
            f"insert into ref.{table} ({column}) select '{letter}' || n "
            "from generate_series(0, %s) n on conflict do nothing",
            (count,),
        )


def scopes(count: int) -> list[dict[str, str]]:
    """Return so many scopes of accounts, symbols and both."""
    side = max(2, round(count**0.5))
    both = [{"account": f"a{i}", "symbol": f"S{j}"} for i in range(side) for j in range(side)]
    accounts = [{"account": f"a{i}"} for i in range(count)]
    symbols = [{"symbol": f"S{i}"} for i in range(count)]
    third = count // 3
    return accounts[: max(1, third)] + symbols[: max(1, third)] + both[: count - 2 * third]


def cost(conn: psycopg.Connection, number: int) -> float:
    """Return the microseconds of one statement: the least of several rounds, others run beside."""
    return min(
        conn.execute(f"select pg_temp.run_{number}({CALLS})").fetchone()[0] for _ in range(ROUNDS)
    )


def main() -> None:
    with database() as conn:
        prepare(conn)
        for count in COUNTS:
            add_names(conn, count)
            began = time.perf_counter()
            with conn.transaction(), conn.cursor() as cursor:
                cursor.executemany(
                    "select risk.set_limit('position', %s, 1000, 'benchmark')",
                    [(Jsonb(scope),) for scope in scopes(count)],
                )
            took = (time.perf_counter() - began) * 1e6 / count
            found = conn.execute(
                "select count(*) from risk.limits where superseded_at = 'infinity'"
            ).fetchone()[0]
            empty, key, *found_in = (cost(conn, n) for n in range(len(STATEMENTS)))
            keys, limits, state = (microseconds - empty for microseconds in found_in)
            print(
                f"{found:>6} limits: keys {keys:.1f}, limits {limits:.1f}, state {state:.1f} us, "
                f"together {(keys + limits + state) / (key - empty):.1f} times a row by its key "
                f"({key - empty:.1f} us); setting a limit {took:.0f} us"
            )


if __name__ == "__main__":
    main()
