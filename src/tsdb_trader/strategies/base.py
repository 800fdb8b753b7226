"""What a strategy in Python is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import ClassVar, Generic, TypeVar

State = TypeVar("State")
Parameters = TypeVar("Parameters")


@dataclass(frozen=True, slots=True)
class StepInput:
    """All that a step is given: one mid per leg, None without news, and the legs' features.

    Features are those of each leg, one leg after the other; None without an inputs function, or
    before every leg has some.
    """

    as_of: datetime
    mids: tuple[float | None, ...]
    features: tuple[float | None, ...] | None = None


class Strategy(ABC, Generic[State, Parameters]):
    """A strategy: ``class Cross(Strategy[CrossState, CrossParameters])``.

    Both are dataclasses of float, int, bool, str, datetime, and lists, tuples and string-keyed
    dicts of them, any of them optional. The state needs ``event: str | None`` and
    ``quantities: list[int]``, a target per leg, and a default for every field: the first step is
    given ``State()``. A state with an event is a signal. ``score: float | None``, if there is one,
    is kept with each signal and ranks entries in a portfolio.
    """

    name: ClassVar[str]
    description: ClassVar[str]
    inputs: ClassVar[str | None] = None
    """Name of an SQL function that gives features, ``desk.inputs_fade``."""
    lookback: ClassVar[timedelta] = timedelta(days=1)
    """How long before the first step features are asked for."""

    @staticmethod
    @abstractmethod
    def step(state: State, given: StepInput, parameters: Parameters, /) -> State:
        """Return the next state. Pure: no clock, no chance, nothing but what it is given."""
