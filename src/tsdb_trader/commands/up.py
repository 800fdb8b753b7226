"""`tsdb-trader up`: the venue and all workers, supervised."""

from __future__ import annotations

import os
import signal
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from tsdb_trader.workers.supervisor import Supervisor


def up(
    only: Annotated[
        str, typer.Option(help="Run only these workers, separated by commas.", metavar="KIND,...")
    ] = "",
) -> None:
    """Run the venue and all workers; ctrl-c stops them cleanly, a second one at once."""
    from tsdb_trader import db, embedded, logs, schema
    from tsdb_trader.config import settings
    from tsdb_trader.workers.supervisor import KINDS, Supervisor, only_one

    logs.configure(settings().log_level, worker="supervisor")
    if settings().database_url is None:
        embedded.ensure_running()
    schema.check_current(db.database_url())
    kinds = [k.strip() for k in only.split(",") if k.strip()] or list(KINDS)
    with only_one(settings().make_home()):
        supervise(Supervisor(kinds))


def supervise(supervisor: Supervisor) -> None:
    """Keep the workers running until a signal; a second signal kills them."""
    from tsdb_trader.workers.stopping import Stop

    stop = Stop()

    def handle(number: int, _frame: FrameType | None) -> None:
        if stop.is_set():
            supervisor.kill()
            os._exit(128 + number)
        stop.request()

    signal.signal(signal.SIGTERM, handle)
    signal.signal(signal.SIGINT, handle)
    # A dead child wakes the wait up; without a handler of its own Python would ignore the signal.
    signal.signal(signal.SIGCHLD, lambda _number, _frame: stop.wake())
    supervisor.start()
    while not stop.is_set():
        supervisor.tick()
        stop.wait(0.5)
    supervisor.stop()
