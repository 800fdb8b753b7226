"""Research: everything that is stored as typed DataFrames, charts of it, calibration and models.

    from tsdb_trader import research

    conn = research.open_reader()
    bars = research.bars(conn, ["AIG", "BAC"], start, end, every="5m")

The reads change nothing and decide nothing live: each is one query of `tsdb_trader.api.research`.
Charts are in `tsdb_trader.research.charts`.
"""

from tsdb_trader.api.frames import open_reader, read_frame
from tsdb_trader.api.research import (
    bars,
    daily_bars,
    equity,
    executions,
    lineage,
    news,
    orders,
    pairs,
    pnl_daily,
    positions,
    quotes,
    run_equity,
    run_errors,
    run_executions,
    run_orders,
    run_signals,
    runs,
    signals,
    trades,
    value_at_risk,
)
from tsdb_trader.api.research_signals import (
    calibration_refusals,
    calibrations,
    compare_runs,
    drift,
    features,
    model_registry,
    predictions,
    rule_matches,
    rules,
    spreads,
    sweep,
)

__all__ = [
    "bars",
    "calibration_refusals",
    "calibrations",
    "compare_runs",
    "daily_bars",
    "drift",
    "equity",
    "executions",
    "features",
    "lineage",
    "model_registry",
    "news",
    "open_reader",
    "orders",
    "pairs",
    "pnl_daily",
    "positions",
    "predictions",
    "quotes",
    "read_frame",
    "rule_matches",
    "rules",
    "run_equity",
    "run_errors",
    "run_executions",
    "run_orders",
    "run_signals",
    "runs",
    "signals",
    "spreads",
    "sweep",
    "trades",
    "value_at_risk",
]
