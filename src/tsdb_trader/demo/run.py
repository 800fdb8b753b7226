"""The demo itself: server, schema, ticks, calibration, a replay session under the supervisor."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from uuid import UUID

from tsdb_trader import db, embedded, logs, schema
from tsdb_trader.api import sessions, signal, summary
from tsdb_trader.clock import Clock, SystemClock
from tsdb_trader.config import settings
from tsdb_trader.db import Connection
from tsdb_trader.demo import data, report
from tsdb_trader.demo.progress import NEW_YORK, Steps, Track
from tsdb_trader.errors import InvariantError
from tsdb_trader.workers.stopping import Stop, install_signals
from tsdb_trader.workers.supervisor import Supervisor, only_one

_STALL_S = 60.0
_GIVE_UP_EXITS = 6


@dataclass(frozen=True)
class Options:
    """What the user asked for."""

    folder: Path | None
    window: str | None
    full: bool
    as_json: bool
    feed: str = "lean"


def run(options: Options, clock: Clock | None = None) -> None:
    """Trade a session and print what came of it.

    Raises
    ------
    InvariantError
        A promise is broken, the session stood still, or it made no trade.
    TraderError
        Something else is wrong that the user can act on.
    """
    home = settings().make_home()
    steps = Steps(to_stderr=options.as_json)
    with (home / "logs" / "demo.log").open("a") as log, only_one(home):
        logs.configure(settings().log_level, log, worker="demo")
        if options.window is not None:
            # A typing error is told before minutes of loading; the day does not matter yet.
            data.parse_window(options.window, date.min)
        url = _prepare(steps)
        with db.connect(url, autocommit=True, application_name="tsdb-trader demo") as conn:
            days = _ticks(conn, options, home, steps)
            data.calibrate(conn, days, steps)
            window = _window(options, days)
            session_id = _trade(conn, days, window, steps, clock or SystemClock())
            found = summary.summary(conn, session_id)
            steps.say("checking the invariants ...")
            invariants = summary.check_invariants(conn, session_id)
    _print(session_id, found, invariants, options.as_json)
    wrong = report.verdict(found, invariants)
    if wrong is not None:
        raise InvariantError(wrong)


def _print(
    session_id: UUID,
    found: summary.Summary,
    invariants: list[summary.Invariant],
    as_json: bool,
) -> None:
    psql = _psql(session_id)
    if as_json:
        print(json.dumps(report.as_json(session_id, found, invariants, psql), default=str))
        return
    for line in report.lines(found, invariants, psql):
        print(line)


def _prepare(steps: Steps) -> str:
    """Start the server and migrate; return the owner's URL."""
    if settings().database_url is None:
        steps.say("starting the private TimescaleDB server ...")
        embedded.ensure_running()
    url = db.database_url()
    done = schema.migrate(url)
    steps.say(f"schema at revision {done.revision}, {done.files_applied} SQL files applied")
    return url


def _ticks(conn: Connection, options: Options, home: Path, steps: Steps) -> data.Days:
    if options.folder is not None:
        return data.load(conn, options.folder, options.feed, steps)
    return data.load(conn, data.sample(home / "sample", steps), "sample", steps)


def _window(options: Options, days: data.Days) -> data.Window:
    if options.window is not None:
        return data.parse_window(options.window, days.second)
    if options.full:
        return data.regular_hours(days.second)
    return data.parse_window("10:00/11:00", days.second)


def _open(conn: Connection, days: data.Days, window: data.Window) -> UUID:
    """Open the session with its pairs in one transaction: workers never see it without."""
    with conn.transaction(), db.translated():
        session_id = sessions.open_session(
            conn,
            "replay",
            f"demo {days.second}",
            feed=days.feed,
            from_ts=window[0],
            to_ts=window[1],
            parameters={"speed": "max"},
        )
        signal.bind_pairs(conn, session_id)
    return session_id


def _trade(
    conn: Connection, days: data.Days, window: data.Window, steps: Steps, clock: Clock
) -> UUID:
    """Trade a new session to its end."""
    session_id = _open(conn, days, window)
    try:
        steps.say(
            f"trading {_local(window[0])} to {_local(window[1]):%H:%M} New York"
            f" in session {session_id} ..."
        )
        with _workers() as supervisor, steps.session(*window) as track:
            _watch(conn, session_id, supervisor, track, clock)
    except BaseException:
        # Left open, it would be replayed beside the next one.
        sessions.close_session(conn, session_id, "failed")
        raise
    return session_id


def _watch(
    conn: Connection, session_id: UUID, supervisor: Supervisor, track: Track, clock: Clock
) -> None:
    """Show progress until the session is closed."""
    stop = Stop()
    install_signals(stop)
    moved_at, last = clock.monotonic(), None
    while not stop.is_set():
        supervisor.tick()
        session = sessions.session(conn, session_id)
        if session is None or session.status != "open":
            return
        now = clock.monotonic()
        if session.as_of is not None and session.as_of != last:
            moved_at, last = now, session.as_of
            track.at(session.as_of, _note(conn, session_id))
        _give_up_if_stuck(supervisor, now - moved_at)
        stop.wait(0.2)
    raise KeyboardInterrupt


@contextmanager
def _workers() -> Iterator[Supervisor]:
    supervisor = Supervisor()
    try:
        supervisor.start()
        yield supervisor
    finally:
        supervisor.stop()


def _give_up_if_stuck(supervisor: Supervisor, still_s: float) -> None:
    folder = settings().home / "logs"
    for child in supervisor.children.values():
        if child.exits >= _GIVE_UP_EXITS:
            raise InvariantError(f"worker {child.kind} keeps dying: see {folder / child.kind}.log")
    if still_s > _STALL_S:
        raise InvariantError(
            f"the session has not moved for {still_s:.0f} s: see `tsdb-trader status` and {folder}"
        )


def _note(conn: Connection, session_id: UUID) -> str:
    signals, orders, fills = summary.counts(conn, session_id)
    return f"{signals} signals, {orders} orders, {fills} fills"


def _local(instant: datetime) -> datetime:
    return instant.astimezone(NEW_YORK).replace(tzinfo=None, microsecond=0)


def _psql(session_id: UUID) -> str:
    query = summary.lineage_query(session_id)
    if settings().database_url is None:
        return f'{sys.argv[0]} db psql -- -xc "{query}"'
    return f'psql "$TSDB_TRADER_DATABASE_URL" -xc "{query}"'
