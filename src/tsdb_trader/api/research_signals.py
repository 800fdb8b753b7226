"""What a quant reads of calibrations, spreads, rules and models, as pandas DataFrames."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import pandas as pd

from tsdb_trader.api.frames import read_frame
from tsdb_trader.api.research import instruments
from tsdb_trader.db import Connection


def calibrations(conn: Connection) -> pd.DataFrame:
    """Return the calibrations on daily bars, a row per run and formation period."""
    return read_frame(
        conn,
        """select c.*, f.feed from signal.calibrations c join ops.feeds f using (feed_id)
           order by c.calibrated_to, c.calibration_id""",
    )


def calibration_refusals(conn: Connection, calibration_id: int) -> pd.DataFrame:
    """Return the symbols and pairs that a calibration could not use, and why."""
    return read_frame(
        conn,
        """select a.symbol as symbol_a, b.symbol as symbol_b, r.reason, r.detail
           from signal.calibration_refusals r
           join ref.instruments a on a.instrument_id = r.instrument_a
           left join ref.instruments b on b.instrument_id = r.instrument_b
           where r.calibration_id = %(calibration_id)s order by 1, 2""",
        {"calibration_id": calibration_id},
    )


def spreads(conn: Connection, pair_id: int, start: datetime, end: datetime) -> pd.DataFrame:
    """Return the spread and z-score of a pair per minute, from the bars of both legs."""
    return read_frame(
        conn,
        """select s.bucket, s.symbol_a, s.symbol_b, s.mid_a, s.mid_b, s.spread, s.z_score
           from signal.spreads_1m s
           where s.pair_id = %(pair_id)s and s.bucket >= %(start)s and s.bucket < %(end)s
           order by s.bucket""",
        {"pair_id": pair_id, "start": start, "end": end},
    )


def rules(conn: Connection) -> pd.DataFrame:
    """Return every version of every rule."""
    return read_frame(conn, "select * from signal.rules r order by r.rule, r.version")


def rule_matches(
    conn: Connection, session_id: UUID | None = None, rule: str | None = None
) -> pd.DataFrame:
    """Return what rules found; by default of all sessions and rules."""
    return read_frame(
        conn,
        """select m.as_of, m.known_at, m.session_id, m.batch_no, r.rule, r.version, i.symbol,
               m.events
           from signal.rule_matches m
           join signal.rules r using (rule_id)
           left join ref.instruments i using (instrument_id)
           where (%(session_id)s::uuid is null or m.session_id = %(session_id)s)
               and (%(rule)s::text is null or r.rule = %(rule)s)
           order by m.as_of, r.rule, i.symbol""",
        {"session_id": session_id, "rule": rule},
    )


def features(
    conn: Connection, names: Sequence[str], symbols: Sequence[str], start: datetime, end: datetime
) -> pd.DataFrame:
    """Return features that became known after `start`, up to `end`: a row each.

    ``frame.pivot(index=["symbol", "as_of"], columns="feature", values="value")`` sets them side by
    side.
    """
    return read_frame(
        conn,
        """select f.as_of, i.symbol, f.feature, f.value
           from signal.features(%(names)s::text[], %(instruments)s::integer[],
               %(start)s::timestamptz, %(end)s::timestamptz) f
           join ref.instruments i using (instrument_id)
           order by f.as_of, i.symbol, f.feature""",
        {
            "names": list(names),
            "instruments": instruments(conn, symbols),
            "start": start,
            "end": end,
        },
    )


def model_registry(conn: Connection) -> pd.DataFrame:
    """Return every version of every model, with its status and what it rests on."""
    return read_frame(conn, "select * from signal.model_registry m order by m.model, m.version")


def predictions(conn: Connection, model: str, start: datetime, end: datetime) -> pd.DataFrame:
    """Return what a model predicted from features that became known in a window."""
    return read_frame(
        conn,
        """select p.as_of, i.symbol, v.version, p.prediction, p.reason, p.features
           from signal.predictions p
           join signal.model_versions v using (version_id)
           join signal.models m using (model_id)
           join ref.instruments i using (instrument_id)
           where m.model = %(model)s and p.as_of >= %(start)s and p.as_of < %(end)s
           order by p.as_of, i.symbol, v.version""",
        {"model": model, "start": start, "end": end},
    )


def drift(conn: Connection, model: str) -> pd.DataFrame:
    """Return how far what a model saw, and predicted, was from its training."""
    return read_frame(
        conn,
        """select v.version, d.variable, d.from_ts, d.to_ts, d.observations, d.psi, d.recorded_at
           from signal.drift d
           join signal.model_versions v using (version_id)
           join signal.models m using (model_id)
           where m.model = %(model)s order by d.to_ts, v.version, d.variable""",
        {"model": model},
    )


def compare_runs(conn: Connection, run_a: int, run_b: int) -> pd.DataFrame:
    """Return two backtests beside each other, a row per measure."""
    return read_frame(
        conn,
        "select * from backtest.compare(%(run_a)s, %(run_b)s)",
        {"run_a": run_a, "run_b": run_b},
    )


def sweep(conn: Connection, sweep_id: int) -> pd.DataFrame:
    """Return the runs of a sweep, with a column per parameter of its grid."""
    found = read_frame(
        conn,
        "select * from backtest.runs r where r.sweep_id = %(sweep_id)s order by r.run_id",
        {"sweep_id": sweep_id},
    )
    return pd.concat([found, pd.DataFrame(found["changes"].tolist(), index=found.index)], axis=1)
