"""Many backtests: sweeps of parameters and walks forward, over connections or on Dask.

    from tsdb_trader.backtest import sweep, walk_forward

See docs/backtests.md.
"""

from tsdb_trader.backtest.sweeps import Swept, WalkStep, resume, sweep, walk_forward

__all__ = ["Swept", "WalkStep", "resume", "sweep", "walk_forward"]
