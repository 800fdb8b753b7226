"""Stores a FIX feed: market_data_process.py <url> <configuration as JSON>.

Prints a JSON line when the stream opens, is lost, or cannot be opened, and after every block that
is committed. Ends with the end of its standard input.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from typing import Any

import psycopg

from tsdb_trader.feeds.store import SourceWriter, build
from tsdb_trader.fix.market_data import FixMarketDataStream


def say(**what: Any) -> None:
    print(json.dumps(what), flush=True)


def positions(conn: psycopg.Connection) -> dict[str, int]:
    rows = conn.execute("select content, next_row from market.sources where parent_id is null")
    return {content: row for content, row in rows if "/" in content or "->" in content}


def store(
    conn: psycopg.Connection, stream: FixMarketDataStream, writers: dict[str, SourceWriter]
) -> None:
    for content, block in stream.read(0.1):
        writer = writers.get(content)
        if writer is None:
            writer = writers[content] = SourceWriter(
                *(conn, "fixmd", "fix", "stream", content, content),
                definition=stream.definition,
                first_row=block.start,
            )
        writer.write(build(block))
        say(event="stored", content=content, start=block.start, stop=block.stop)


def main() -> None:
    conn = psycopg.connect(sys.argv[1], autocommit=True)
    stopped = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), stopped.set()), daemon=True).start()
    while not stopped.is_set():
        # As the worker does: a new stream for every connection.
        stream = FixMarketDataStream(json.loads(sys.argv[2]))
        try:
            stream.open(positions(conn))
            say(event="open")
            writers: dict[str, SourceWriter] = {}
            while not stopped.is_set():
                store(conn, stream, writers)
        except OSError as error:
            say(event="lost", why=str(error))
            stopped.wait(0.2)
        finally:
            say(event="detail", detail=stream.detail())
            stream.close()
    # The engine's end would be the process's.
    os._exit(0)


main()
