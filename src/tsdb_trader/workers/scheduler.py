"""The scheduler: jobs by the clock, each run recorded in `ops.jobs`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from apscheduler.schedulers.background import BackgroundScheduler

from tsdb_trader import db, logs, seals
from tsdb_trader.api import (
    audit,
    books,
    market,
    models,
    ops,
    portfolio,
    quality,
    reconciliation,
    rollups,
    watch,
)
from tsdb_trader.config import settings
from tsdb_trader.db import Connection

_log = logs.get("scheduler")
# Bars and corporate actions that come later than this are for `tsdb-trader var refresh`.
_RETURNS_BACK = timedelta(days=10)


@dataclass(frozen=True)
class Job:
    """What is run, and when, in APScheduler's words."""

    name: str
    run: Callable[[Connection], dict[str, Any]]
    trigger: str
    arguments: dict[str, Any]


def _refresh_rollups(conn: Connection) -> dict[str, Any]:
    return {"refreshed": market.refresh_rollups(conn)}


def _snapshot_books(conn: Connection) -> dict[str, Any]:
    return {"snapshots": books.snapshot_books(conn)}


def _apply_retention(conn: Connection) -> dict[str, Any]:
    """Drop what is kept no longer; tables that wait for a rollup are shown in ops.jobs."""
    done = rollups.apply_retention(conn, datetime.now(UTC))
    return {
        "dropped": {table.hypertable: table.dropped for table in done if table.dropped},
        "waiting": [table.hypertable for table in done if table.waits],
    }


def _check_orphans(conn: Connection) -> dict[str, Any]:
    """Look for rows whose parent is missing, which no foreign key guards in hypertables."""
    orphans = ops.check_orphans(conn)
    if orphans:
        ops.raise_alert(
            conn, "orphans", "critical", "rows without a parent were found", {"found": orphans}
        )
    return {"orphans": orphans}


def _check_quality(conn: Connection) -> dict[str, Any]:
    """Measure the days whose ticks changed, and raise alerts about what is beyond the rules."""
    measured = quality.refresh(conn)
    return {"measured": measured, "findings": quality.watch(conn, datetime.now(UTC))}


def _seal_log(conn: Connection) -> dict[str, Any]:
    """Seal the order log, and keep the seals in a file outside the database."""
    return {"seals": seals.keep(conn, settings().home / "seals")}


def _verify_log(conn: Connection) -> dict[str, Any]:
    """Check the order log against itself and the seals kept outside."""
    kept = seals.read(seals.file_of(conn, settings().home / "seals"))
    findings = audit.verify_log(conn, kept)
    if findings:
        text = "the order log was changed: `tsdb-trader order verify` says where"
        ops.raise_alert(conn, "log_tampered", "critical", text, {"findings": len(findings)})
    return {"seals": len(kept), "findings": len(findings)}


def _reconcile_trades(conn: Connection) -> dict[str, Any]:
    """Compare executions and positions with what venues, drop copies and clearing files told."""
    differences = {}
    for venue in reconciliation.compared_venues(conn):
        trades = reconciliation.reconcile_trades(conn, venue)
        differences[venue] = trades + reconciliation.reconcile_flows(conn, venue)
    return {"differences": differences}


def _apply_corporate_actions(conn: Connection) -> dict[str, Any]:
    """Bring the day's corporate actions into the positions of sessions that run by the clock."""
    today = datetime.now(UTC).date()
    return {
        "positions": {
            str(session_id): portfolio.apply_corporate_actions(conn, session_id, today)
            for session_id in portfolio.clock_sessions(conn)
        }
    }


def _refresh_var(conn: Connection) -> dict[str, Any]:
    """Make the returns of the last days, and the history that value at risk is measured by."""
    # numpy takes a while to import, and no other job needs it.
    from tsdb_trader.research import factors

    now = datetime.now(UTC)
    changed = factors.refresh(conn, (now - _RETURNS_BACK).date(), now.date())
    return {"changed": changed, "sets": factors.prepare(conn, now)}


def _calibrate_pairs(conn: Connection) -> dict[str, Any]:
    """Choose the pairs of the newest formation of the feeds that are scheduled for it."""
    from tsdb_trader.research import walk_forward
    from tsdb_trader.research.periods import NEW_YORK

    return {"calibrated": walk_forward.repeat(conn, datetime.now(NEW_YORK).date())}


def _score_models(conn: Connection) -> dict[str, Any]:
    """Store what the valid models predict from what became known."""
    from tsdb_trader.research import scoring

    runs = scoring.score_due(conn, datetime.now(UTC))
    return {
        "new": {f"{run.model} {run.version}": run.new for run in runs if run.error is None},
        "failed": [f"{run.model} {run.version}" for run in runs if run.error is not None],
    }


def _watch_drift(conn: Connection) -> dict[str, Any]:
    """Measure how far what the valid models see differs from what they were trained on."""
    return {"measured": len(models.watch_drift(conn, datetime.now(UTC)))}


JOBS = (
    Job("refresh_rollups", _refresh_rollups, "interval", {"seconds": 60}),
    Job("snapshot_books", _snapshot_books, "interval", {"minutes": 5}),
    Job("check_quality", _check_quality, "interval", {"minutes": 5}),
    Job("reconcile_trades", _reconcile_trades, "interval", {"seconds": 60}),
    Job("seal_log", _seal_log, "interval", {"seconds": 60}),
    Job("apply_corporate_actions", _apply_corporate_actions, "cron", {"hour": 7, "minute": 45}),
    Job("verify_log", _verify_log, "cron", {"hour": 3, "minute": 40}),
    Job("refresh_var", _refresh_var, "interval", {"minutes": 30}),
    # After midnight in New York, when a formation ends, and well before its market opens.
    Job("calibrate_pairs", _calibrate_pairs, "cron", {"hour": 6, "minute": 20}),
    Job("score_models", _score_models, "interval", {"minutes": 5}),
    Job("watch_drift", _watch_drift, "cron", {"hour": 4, "minute": 10}),
    Job("apply_retention", _apply_retention, "cron", {"hour": 2, "minute": 40}),
    Job("check_orphans", _check_orphans, "cron", {"hour": 3, "minute": 10}),
)


def run_job(url: str, job: Job) -> None:
    """Run a job on a connection of its own and record how it ended.

    A job that fails is an alert, not the end of the scheduler; one that cannot reach the database
    is logged and runs again when it is due.
    """
    try:
        with db.connect(url, autocommit=True, application_name=f"tsdb-trader {job.name}") as conn:
            run_id = watch.begin_job(conn, job.name)
            try:
                detail = job.run(conn)
            except Exception as error:
                watch.end_job(conn, run_id, False, {"error": str(error).splitlines()[0]})
                raise
            watch.end_job(conn, run_id, True, detail)
    except Exception:
        _log.exception("job failed", job=job.name)


class SchedulerWorker:
    """Keeps APScheduler running beside the loop, which beats for it."""

    kind = "scheduler"
    lease = "scheduler"
    channels: tuple[str, ...] = ()
    poll_s = 5.0

    def __init__(self, url: str, jobs: tuple[Job, ...] = JOBS) -> None:
        self._url = url
        self._jobs = jobs
        # One run of a job at a time, and one for however many were missed.
        self._scheduler = BackgroundScheduler(
            timezone=UTC,
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
        )

    def start(self, conn: Connection) -> None:
        """Schedule the jobs; jobs with an interval run once at the start."""
        for job in self._jobs:
            self._scheduler.add_job(
                run_job, job.trigger, args=(self._url, job), id=job.name, **job.arguments
            )
            if job.trigger == "interval":
                self._scheduler.add_job(run_job, args=(self._url, job), id=f"{job.name} at start")
        self._scheduler.start()

    def step(self, conn: Connection) -> bool:
        """Do nothing: the jobs run in the scheduler's threads."""
        return False

    def stop(self) -> None:
        """Let running jobs end, start no other."""
        self._scheduler.shutdown(wait=True)

    def detail(self) -> dict[str, Any]:
        """Return when each job runs next."""
        return {
            job.id: job.next_run_time.isoformat()
            for job in self._scheduler.get_jobs()
            if job.next_run_time is not None
        }
