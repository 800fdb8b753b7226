"""Scoring of valid models on what became known, and their drift.

Models in the database's form are scored there; the others here, from the artefact of their row
in ``signal.model_versions``. Reading an artefact runs code, so one is read only if its SHA-256 is
that of its row, its row was saved by the owner or a login with the scheduler's rights
(``signal.save_model`` refuses all others), and scikit-learn is of the version that wrote it.
"""

from __future__ import annotations

import hashlib
import io
from collections import OrderedDict
from dataclasses import dataclass, replace
from datetime import datetime
from importlib import import_module
from typing import Any

import numpy as np

from tsdb_trader import logs
from tsdb_trader.api import models as api
from tsdb_trader.db import Connection
from tsdb_trader.errors import InputError
from tsdb_trader.research import estimators
from tsdb_trader.research.models import predict

_log = logs.get("models")
# A process that stays holds no more than this: rows of features at once, and bytes of artefacts
# whose pipelines it keeps for the next run.
PART_ROWS = 20_000
KEPT_BYTES = 64 * 1024**2
_kept: OrderedDict[str, tuple[Any, int]] = OrderedDict()


@dataclass(frozen=True)
class Run:
    """What scoring a version came to; `error` is None where it went well."""

    model: str
    version: int
    new: int
    error: str | None = None


def score_due(conn: Connection, as_of: datetime, model: str | None = None) -> list[Run]:
    """Score every version that is due up to `as_of`, or those of one model.

    Each version is a transaction of its own. One that fails is recorded, with an alert, and the
    others go on.
    """
    return [_run(conn, due) for due in api.due(conn, as_of) if model is None or due.model == model]


def load(conn: Connection, version_id: int) -> tuple[Any, str]:
    """Return the pipeline of an artefact, and its task.

    Raises
    ------
    InputError
        There is no artefact, or it may not be read: see the module.
    """
    found = api.artefact(conn, version_id)
    if found is None:
        raise InputError(f"version {version_id} has no artefact")
    if hashlib.sha256(found.content).hexdigest() != found.sha256:
        raise InputError(f"the artefact of version {version_id} is not the one that was saved")
    if not found.trusted:
        raise InputError(
            f"the artefact of version {version_id} was saved by {found.saved_by}, who has not the "
            "scheduler's rights"
        )
    ours = estimators.libraries()["scikit-learn"]
    theirs = found.libraries.get("scikit-learn")
    if theirs != ours:
        raise InputError(
            f"version {version_id} was trained with scikit-learn {theirs}, here is {ours}: "
            "train it again"
        )
    return _unpack(found.sha256, found.content), found.task


def _unpack(sha256: str, content: bytes) -> Any:
    """Read an artefact once; the digest, which was checked, is its key.

    What was used longest ago makes room; one that is larger than all the room is read every time.
    """
    pipeline, _ = _kept.pop(sha256, (None, 0))
    if pipeline is None:
        pipeline = import_module("joblib").load(io.BytesIO(content))
    _kept[sha256] = (pipeline, len(content))
    while sum(size for _, size in _kept.values()) > KEPT_BYTES:
        _kept.popitem(last=False)
    return pipeline


def _run(conn: Connection, due: api.Due) -> Run:
    window = (due.from_ts, due.to_ts)
    try:
        with conn.transaction():
            new = (
                _score_here(conn, due)
                if due.scoring == "worker"
                else api.record_predictions(conn, due.version_id, window)
            )
    except Exception as error:
        # Whatever a feature's function or a pipeline raises is that model's trouble alone; a lost
        # connection fails here again and ends the run.
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        _log.warning("model not scored", model=due.model, version=due.version, error=reason)
        api.note_failure(conn, due.version_id, window, reason)
        return Run(due.model, due.version, 0, reason)
    return Run(due.model, due.version, new)


def _score_here(conn: Connection, due: api.Due) -> int:
    window = (due.from_ts, due.to_ts)
    pipeline, task = load(conn, due.version_id)
    new = 0
    parts = 0
    for rows in api.score_parts(conn, due.version_id, window, PART_ROWS):
        new += api.save_predictions(conn, due.version_id, window, _predicted(rows, pipeline, task))
        parts += 1
    if parts == 0:
        # A run without rows has succeeded as well.
        api.save_predictions(conn, due.version_id, window, [])
    return new


def _predicted(rows: list[api.Scored], pipeline: Any, task: str) -> list[api.Scored]:
    """Return the rows with the predictions of those that have all they need."""
    usable = [n for n, row in enumerate(rows) if row.reason is None]
    if usable:
        features = np.array([rows[n].features for n in usable], dtype=np.float64)
        found = predict(pipeline, task, features)
        for n, prediction in zip(usable, found.tolist(), strict=True):
            rows[n] = replace(rows[n], prediction=prediction)
    return rows
