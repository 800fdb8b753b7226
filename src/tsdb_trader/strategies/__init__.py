"""Strategies in Python: a class with a pure step, on the same tables as a strategy in SQL.

    from tsdb_trader.strategies import StepInput, Strategy

See docs/strategies.md for a whole one.
"""

from tsdb_trader.strategies.base import StepInput, Strategy
from tsdb_trader.strategies.loading import Loaded, load, load_all
from tsdb_trader.strategies.stepping import Instance, Step, StepError, start

__all__ = [
    "Instance",
    "Loaded",
    "Step",
    "StepError",
    "StepInput",
    "Strategy",
    "load",
    "load_all",
    "start",
]
