"""Every job of the scheduler runs with the rights of its own role."""

from __future__ import annotations

from typing import Any

import pytest

from tsdb_trader.workers.scheduler import JOBS, Job


@pytest.mark.parametrize("job", JOBS, ids=lambda job: job.name)
def test_job_runs_as_the_schedulers_role(connect_as: Any, job: Job) -> None:
    assert isinstance(job.run(connect_as("tsdb_worker_scheduler")), dict)
