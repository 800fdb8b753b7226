"""Rules: what they find, batch by batch and in a scan."""

from __future__ import annotations

import psycopg

from rule_market import Trade, matches, open_session, parity, run, save, store


def test_rule_spike_is_found_once_until_it_is_over(conn: psycopg.Connection) -> None:
    store(conn, [Trade(i * 1000, p) for i, p in enumerate([10, 10, 11, 11.5, 10, 10, 12])])
    save(
        conn,
        "spike",
        {
            "pattern": [
                {
                    "on": "trade",
                    "when": "price > 1.05 * avg(price, 3s)",
                    "until": "price < 1.01 * avg(price, 3s)",
                }
            ]
        },
    )
    session = open_session(conn)
    run(conn, session, [2500, 10_000])
    assert parity(conn, session) == []
    assert matches(conn, session, "spike") == [(2000, "A"), (6000, "A")]
