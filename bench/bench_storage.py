"""Bytes per tick of recorded ticks: rows, indexes, bars, and compressed where the server can.

usage: bench_storage.py [folder of lean archives]; without one, a generated sample
"""

from __future__ import annotations

import sys
import tempfile
from datetime import timedelta
from pathlib import Path

import psycopg

from bench_load import database
from tsdb_trader.api import market, rollups
from tsdb_trader.feeds import loader
from tsdb_trader.feeds.sample import generate


def size(conn: psycopg.Connection, table: str) -> tuple[int, int, int]:
    """Return the bytes of rows, indexes, and both with whatever else belongs to a hypertable."""
    row = conn.execute(
        """select coalesce(sum(table_bytes), 0)::bigint, coalesce(sum(index_bytes), 0)::bigint,
                  coalesce(sum(total_bytes), 0)::bigint
           from public.hypertable_detailed_size(%s::regclass)""",
        (table,),
    ).fetchone()
    assert row is not None
    return row


def bars_table(conn: psycopg.Connection, rollup: str) -> str:
    """Return the hypertable that holds a rollup."""
    row = conn.execute(
        """select coalesce(max(format('%%I.%%I', materialization_hypertable_schema,
                                      materialization_hypertable_name)), %s)
           from timescaledb_information.continuous_aggregates where view_name = %s""",
        (f"market.{rollup}", rollup),
    ).fetchone()
    assert row is not None
    return str(row[0])


def main(folder: Path) -> None:
    """Load, and print what it takes."""
    with database() as conn:
        loader.load(conn, "lean", [folder])
        market.refresh_rollups(conn)
        version = conn.execute(
            "select current_setting('server_version') || ', TimescaleDB ' || extversion"
            " from pg_extension where extname = 'timescaledb'"
        ).fetchone()
        print(f"PostgreSQL {version[0] if version else '?'}")
        for name in ("quotes", "trades"):
            table = f"market._{name}"
            count = conn.execute(f"select count(*) from {table}").fetchone()
            rows = int(count[0]) if count else 0
            heap, indexes, total = size(conn, table)
            print(
                f"{name}: {rows:,} rows, {total / rows:.1f} bytes each "
                f"(rows {heap / rows:.1f}, indexes {indexes / rows:.1f})"
            )
            if rollups.set_retention(conn, name, None, timedelta(days=7)) == "policy":
                conn.execute(
                    f"select public.compress_chunk(c) from public.show_chunks('{table}') c"
                )
                _, _, compressed = size(conn, table)
                print(
                    f"  compressed: {compressed / rows:.1f} bytes each, {total / compressed:.1f} to 1"
                )
            else:
                print("  compression: not available")
        for level in ("1s", "1m", "5m", "1h", "1d"):
            parts = [bars_table(conn, f"_bars_{level}_{kind}") for kind in ("trades", "quotes")]
            total = sum(size(conn, part)[2] for part in parts)
            print(f"bars of {level}: {total / 2**20:.1f} MiB")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as temporary:
            generate(Path(temporary))
            main(Path(temporary))
