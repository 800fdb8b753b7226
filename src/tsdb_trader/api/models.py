"""Schema signal: features, models and their predictions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg.rows import class_row, dict_row
from psycopg.types.json import Jsonb

from tsdb_trader.db import Connection, translated


@dataclass(frozen=True)
class Rows:
    """Rows of features: when each became known, of what instrument, and a value per feature."""

    times: list[datetime]
    instrument_ids: list[int]
    values: list[list[float | None]]


@dataclass(frozen=True)
class Labels:
    """Returns over the bars after a time, and when they were known."""

    times: list[datetime]
    instrument_ids: list[int]
    values: list[float]
    known: list[datetime]


@dataclass(frozen=True)
class Due:
    """A version that is to be scored for what became known in (from_ts, to_ts]."""

    version_id: int
    model: str
    version: int
    scoring: str
    from_ts: datetime
    to_ts: datetime


@dataclass(frozen=True)
class Artefact:
    """What a worker scores with, and what it must be to be read."""

    content: bytes
    sha256: str
    libraries: dict[str, str]
    saved_by: str
    trusted: bool
    task: str


@dataclass(frozen=True)
class Scored:
    """A row that a version was asked about; without a prediction it has the reason."""

    as_of: datetime
    instrument_id: int
    prediction: float | None
    reason: str | None
    features: list[float | None]


@dataclass(frozen=True)
class Drift:
    """The population stability index of a variable of a version, over a window."""

    model: str
    version: int
    variable: str
    observations: int
    psi: float


def feature_rows(
    conn: Connection,
    features: Sequence[str],
    instrument_ids: Sequence[int] | None,
    window: tuple[datetime, datetime],
) -> Rows:
    """Return features side by side, as they became known (``signal.feature_rows``).

    Raises
    ------
    UnknownObjectError
        A feature is not defined.
    InputError
        No feature, or one twice.
    """
    with translated():
        found = conn.execute(
            "select as_of, instrument_id, features from signal.feature_rows(%s, %s::int[], %s, %s)",
            (list(features), _ids(instrument_ids), *window),
            binary=True,
        ).fetchall()
    return Rows([r[0] for r in found], [r[1] for r in found], [r[2] for r in found])


def labels(
    conn: Connection,
    instrument_ids: Sequence[int] | None,
    window: tuple[datetime, datetime],
    horizon: int,
) -> Labels:
    """Return the returns over the next `horizon` bars (``signal.labels``).

    Raises
    ------
    InputError
        The horizon cannot be, or several feeds have bars of an instrument.
    """
    with translated():
        found = conn.execute(
            "select as_of, instrument_id, label, known_at "
            "from signal.labels(%s::int[], %s, %s, %s)",
            (_ids(instrument_ids), *window, horizon),
            binary=True,
        ).fetchall()
    return Labels(*([r[n] for r in found] for n in range(4)))


def features_hash(conn: Connection, features: Sequence[str]) -> str:
    """Return the hash of the source of the features' functions."""
    with translated():
        row = conn.execute("select signal._features_hash(%s)", (list(features),)).fetchone()
    return "" if row is None else str(row[0])


def instrument_ids(conn: Connection, symbols: Sequence[str]) -> list[int]:
    """Return the ids of symbols (``ref.instrument_id``).

    Raises
    ------
    UnknownObjectError
        A symbol is unknown; the message names it.
    """
    with translated():
        found = conn.execute(
            "select ref.instrument_id(s.symbol) from unnest(%s::text[]) s (symbol)",
            (list(symbols),),
        ).fetchall()
    return [row[0] for row in found]


def bar_watermark(conn: Connection, window: tuple[datetime, datetime]) -> dict[str, Any]:
    """Return which daily bars stood behind a window: feeds, how many, the last one's time."""
    row = conn.execute(
        """select array_agg(distinct f.feed), coalesce(sum(b.n), 0), max(b.last)::text
           from (select feed_id, count(*) as n, max(ts) as last from market._source_bars
                 where resolution = '1d' and side = 'trade' and ts > %s and ts <= %s
                 group by feed_id) b join ops.feeds f using (feed_id)""",
        window,
    ).fetchone()
    assert row is not None  # noqa: S101 - an aggregate always has a row
    return {"feeds": row[0] or [], "bars": int(row[1]), "last_bar": row[2]}


def save_model(
    conn: Connection,
    model: str,
    description: str,
    version: Mapping[str, Any],
    artefact: bytes | None = None,
) -> int:
    """Save a new version of a model (``signal.save_model``); return its version_id.

    Raises
    ------
    InputError
        A value cannot be.
    TransitionError
        The login may not save artefacts.
    """
    with translated():
        row = conn.execute(
            "select signal.save_model(%s, %s, %s, %s)",
            (model, description, Jsonb(dict(version)), artefact),
        ).fetchone()
    assert row is not None  # noqa: S101 - a scalar function
    return int(row[0])


def activate_model(
    conn: Connection, model: str, version: int | None = None, valid_from: datetime | None = None
) -> int:
    """Let a version answer for its model (``signal.activate_model``); return its number."""
    with translated():
        row = conn.execute(
            "select signal.activate_model(%s, %s, %s)", (model, version, valid_from)
        ).fetchone()
    assert row is not None  # noqa: S101 - a scalar function
    return int(row[0])


def retire_model(conn: Connection, model: str, at: datetime) -> None:
    """Let no version answer for a model from a time on (``signal.retire_model``)."""
    with translated():
        conn.execute("select signal.retire_model(%s, %s)", (model, at))


def registry(conn: Connection, model: str | None = None) -> list[dict[str, Any]]:
    """Return the versions of a model, or of all (``signal.model_registry``).

    Raises
    ------
    UnknownObjectError
        There is no such model.
    """
    with translated():
        if model is not None:
            conn.execute("select signal._model_id(%s)", (model,))
        return (
            conn.cursor(row_factory=dict_row)
            .execute(
                """select model, version, status, valid_from,
                       nullif(valid_to, 'infinity') as valid_to, task, estimator, scoring,
                       features, horizon, missing, metrics, parameters, trained_from, trained_to,
                       data_watermark, code_version, libraries, drift_threshold, artefact_sha256,
                       saved_by, recorded_at, version_id, description
                   from signal.model_registry
                   where %(model)s::text is null or model = %(model)s order by model, version""",
                {"model": model},
            )
            .fetchall()
        )


def form(conn: Connection, model: str, version: int | None = None) -> dict[str, Any] | None:
    """Return what a version is scored by in the database, None if by a worker."""
    with translated():
        row = conn.execute(
            "select to_jsonb(v.form) from signal._version_of(%s, %s) v", (model, version)
        ).fetchone()
    return None if row is None else row[0]


def due(conn: Connection, as_of: datetime) -> list[Due]:
    """Return the versions to be scored up to a time (``signal.due_models``)."""
    cursor = conn.cursor(row_factory=class_row(Due))
    return cursor.execute("select * from signal.due_models(%s)", (as_of,)).fetchall()


def record_predictions(conn: Connection, version_id: int, window: tuple[datetime, datetime]) -> int:
    """Score a version in the database (``signal.record_predictions``); return what was new."""
    with translated():
        row = conn.execute(
            "select signal.record_predictions(%s, %s, %s)", (version_id, *window)
        ).fetchone()
    return 0 if row is None else int(row[0])


def score_version(
    conn: Connection, version_id: int, window: tuple[datetime, datetime]
) -> list[Scored]:
    """Return a version's rows of a window (``signal.score_version``)."""
    cursor = conn.cursor(row_factory=class_row(Scored), binary=True)
    with translated():
        return cursor.execute(
            "select as_of, instrument_id, prediction, reason, features "
            "from signal.score_version(%s, null, %s, %s)",
            (version_id, *window),
        ).fetchall()


def score_parts(
    conn: Connection, version_id: int, window: tuple[datetime, datetime], size: int
) -> Iterator[list[Scored]]:
    """Yield a version's rows of a window, `size` at a time (``signal.score_version``).

    The rest stays with the server, within the caller's transaction: a model that was activated
    for years past has more rows than belong in a worker's memory at once.
    """
    with (
        translated(),
        conn.cursor("scored_rows", row_factory=class_row(Scored)) as cursor,
    ):
        cursor.execute(
            "select as_of, instrument_id, prediction, reason, features "
            "from signal.score_version(%s, null, %s, %s)",
            (version_id, *window),
            binary=True,
        )
        while rows := cursor.fetchmany(size):
            yield rows


def save_predictions(
    conn: Connection,
    version_id: int,
    window: tuple[datetime, datetime],
    rows: Sequence[Scored],
) -> int:
    """Store predictions of a window (``signal.save_predictions``); return how many were new."""
    with translated():
        found = conn.execute(
            "select signal.save_predictions(%s, %s, %s, %s::timestamptz[], %s::int[], "
            "%s::float8[], %s::text[], %s::float8[])",
            (
                version_id,
                *window,
                [r.as_of for r in rows],
                [r.instrument_id for r in rows],
                [r.prediction for r in rows],
                [r.reason for r in rows],
                [value for r in rows for value in r.features],
            ),
        ).fetchone()
    return 0 if found is None else int(found[0])


def note_failure(
    conn: Connection, version_id: int, window: tuple[datetime, datetime], error: str
) -> None:
    """Record that a version could not be scored (``signal.note_model_failure``)."""
    conn.execute("select signal.note_model_failure(%s, %s, %s, %s)", (version_id, *window, error))


def artefact(conn: Connection, version_id: int) -> Artefact | None:
    """Return what a worker scores a version with, None if the database does.

    It is trusted where its row was saved by the owner of the tables or by a login that has the
    rights of the scheduler anyway.
    """
    cursor = conn.cursor(row_factory=class_row(Artefact), binary=True)
    return cursor.execute(
        """select artefact as content, artefact_sha256 as sha256, libraries, saved_by, task,
               coalesce((
                   select pg_has_role(r.oid, 'tsdb_worker_scheduler', 'member')
                       or pg_has_role(r.oid, 'tsdb_trader', 'member')
                   from pg_roles r where r.rolname = v.saved_by), false) as trusted
           from signal.model_versions v where version_id = %s and artefact is not null""",
        (version_id,),
    ).fetchone()


def watch_drift(conn: Connection, as_of: datetime) -> list[Drift]:
    """Measure and record the drift of valid models (``signal.watch_drift``)."""
    cursor = conn.cursor(row_factory=class_row(Drift))
    return cursor.execute("select * from signal.watch_drift(%s)", (as_of,)).fetchall()


def _ids(instrument_ids: Sequence[int] | None) -> list[int] | None:
    return None if instrument_ids is None else list(instrument_ids)
