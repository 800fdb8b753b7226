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
_END_S = 10.0


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
            The scheduler went away.
        """
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
            self._collect(sweep, futures)
        except BaseException:
            self.client.cancel(list(futures), force=True)
            _end(sweep)
            raise

    def _collect(self, sweep: Sweep, futures: Mapping[Any, dict[str, Any]]) -> None:
        from distributed import CancelledError, KilledWorker, as_completed

        for future in as_completed(futures, loop=self.client.loop):
            try:
                future.result()
            except KilledWorker:
                # Whoever takes this point dies: it is the point, not the worker.
                with db.connect(autocommit=True, application_name="tsdb-trader backtest") as conn:
                    sweeps.fail_point(
                        conn, sweep.sweep_id, futures[future], "58000",
                        "every worker that ran this point was lost",
                    )  # fmt: skip
            except CancelledError:
                raise InvariantError(
                    f"the Dask scheduler went away: what sweep {sweep.sweep_id} has done is kept, "
                    f"go on with `tsdb-trader backtest resume {sweep.sweep_id}`"
                ) from None


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
        import distributed
    except ImportError:
        raise ConfigurationError(
            "TSDB_TRADER_DASK is set and the package distributed is not installed: "
            "pip install 'tsdb-trader[dask]', or unset it"
        ) from None
    if address == "local":
        with (
            distributed.LocalCluster(
                n_workers=workers, threads_per_worker=1, processes=True, dashboard_address=None
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
