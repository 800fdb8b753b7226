"""The points of a sweep as futures of Dask, on workers with connections of their own."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tsdb_trader import db
from tsdb_trader.api import sweeps
from tsdb_trader.api.strategies import Classes
from tsdb_trader.api.sweeps import Sweep
from tsdb_trader.backtest.points import run_or_record
from tsdb_trader.errors import ConfigurationError, InvariantError
from tsdb_trader.strategies import load

_CONNECT_S = 15
_WORKERS_S = 60
_LOOK_S = 30
_AGAIN = 1
_END_S = 10.0
_DEADLY = "every worker that ran this point was lost"


@dataclass(frozen=True)
class Dask:
    """Runs points on the workers of a scheduler."""

    client: Any
    classes: Classes

    def run(self, sweep: Sweep, points: Sequence[dict[str, Any]]) -> None:
        """Run points; on any error, or ctrl-c, those that run are rolled back.

        Raises
        ------
        ConfigurationError
            A worker uses another database, or has not the strategy's class.
        InvariantError
            The scheduler, or its last worker, went away.
        """
        blamed = self._run(sweep, points)
        for point in blamed:
            # Dask blames whatever a lost worker had been given: alone, it is the point's own fault.
            if self._run(sweep, [point]):
                with db.connect(autocommit=True, application_name="tsdb-trader backtest") as conn:
                    sweeps.fail_point(conn, sweep.sweep_id, point, "58000", _DEADLY)

    def _run(self, sweep: Sweep, points: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """Run points, and return those whose workers were lost again and again."""
        loaded = self.classes.get(sweep.strategy)
        path = None if loaded is None else loaded.path
        # A key of its own for every call: Dask would else give the result of an earlier one.
        call = uuid.uuid4().hex
        futures = {
            self.client.submit(
                run_remotely, sweep.sweep_id, sweep.recorded_at, point, path,
                key=f"sweep-{sweep.sweep_id}-{number}-{call}", pure=False,
            ): point
            for number, point in enumerate(points)
        }  # fmt: skip
        try:
            return self._collect(sweep, futures)
        except BaseException:
            self.client.cancel(list(futures), force=True)
            _end(sweep)
            raise

    def _collect(self, sweep: Sweep, futures: Mapping[Any, dict[str, Any]]) -> list[dict[str, Any]]:
        from distributed import CancelledError, KilledWorker

        blamed = []
        try:
            for future in self._completed(futures):
                try:
                    future.result()
                except KilledWorker:
                    blamed.append(futures[future])
        except CancelledError:
            raise _gone(sweep, "the Dask scheduler went away") from None
        except _NoWorkersError:
            raise _gone(sweep, "the Dask scheduler has lost all its workers") from None
        return blamed

    def _completed(self, futures: Mapping[Any, object]) -> Iterator[Any]:
        from distributed import as_completed

        left = set(futures)
        looks = 0
        while left:
            completed = as_completed(list(left), loop=self.client.loop, timeout=_LOOK_S)
            try:
                for future in completed:
                    left.discard(future)
                    yield future
            except TimeoutError:
                # A worker that comes back within a look is waited for.
                looks = 0 if self.client.nthreads() else looks + 1
                if looks == 2:
                    raise _NoWorkersError from None


class _NoWorkersError(Exception):
    """Nobody is left to run what is left."""


def _gone(sweep: Sweep, what: str) -> InvariantError:
    return InvariantError(
        f"{what}: what sweep {sweep.sweep_id} has done is kept, go on with "
        f"`tsdb-trader backtest resume {sweep.sweep_id}`"
    )


def run_remotely(
    sweep_id: int, recorded_at: datetime, point: dict[str, Any], path: str | None
) -> None:
    """Run a point, on a worker: with its own settings, connection and copy of the code.

    Raises
    ------
    ConfigurationError
        This worker's database is not the one that the sweep was opened in, or it has no such class.
    """
    loaded = None if path is None else load(path)
    name = f"tsdb-trader sweep {sweep_id}"
    with db.connect(autocommit=True, application_name=name) as conn:
        sweep = sweeps.find_sweep(conn, sweep_id)
        if sweep.recorded_at != recorded_at:
            raise ConfigurationError(
                f"a Dask worker uses another database: its sweep {sweep_id} was opened at "
                f"{sweep.recorded_at}; give workers the TSDB_TRADER_DATABASE_URL that you have"
            )
        run_or_record(conn, {} if loaded is None else {loaded.name: loaded}, sweep, point)


@contextmanager
def connected(address: str, workers: int) -> Iterator[Any]:
    """Yield a client of a scheduler, or for ``local`` of a cluster of processes of its own.

    Raises
    ------
    ConfigurationError
        Dask is not installed, the scheduler cannot be reached, or it has no workers.
    """
    try:
        import dask
        import distributed
    except ImportError:
        raise ConfigurationError(
            "TSDB_TRADER_DASK is set and the package distributed is not installed: "
            "pip install 'tsdb-trader[dask]', or unset it"
        ) from None
    if address == "local":
        with (
            dask.config.set({"distributed.scheduler.allowed-failures": _AGAIN}),
            distributed.LocalCluster(
                n_workers=workers,
                threads_per_worker=1,
                processes=True,
                dashboard_address="127.0.0.1:0",
            ) as cluster,
            distributed.Client(cluster, set_as_default=False) as client,
        ):
            yield client
        return
    try:
        client = distributed.Client(address, timeout=_CONNECT_S, set_as_default=False)
    except (OSError, TimeoutError, ValueError) as error:
        raise ConfigurationError(
            f"TSDB_TRADER_DASK: no scheduler at {address}: {str(error) or type(error).__name__}"
        ) from None
    with client:
        try:
            client.wait_for_workers(1, timeout=_WORKERS_S)
        except TimeoutError:
            raise ConfigurationError(
                f"TSDB_TRADER_DASK: the scheduler at {address} has no workers"
            ) from None
        yield client


def _end(sweep: Sweep) -> None:
    """End what workers still run: a task that has begun cannot be called back."""
    deadline = time.monotonic() + _END_S
    with db.connect(autocommit=True, application_name="tsdb-trader backtest") as conn:
        while sweeps.end_connections(conn, sweep) and time.monotonic() < deadline:
            time.sleep(0.1)
