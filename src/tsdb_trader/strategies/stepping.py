"""One way to step a strategy, live and over history: state in, step, state out, all checked."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from tsdb_trader.errors import InputError
from tsdb_trader.strategies.base import StepInput
from tsdb_trader.strategies.codec import decode, encode
from tsdb_trader.strategies.loading import Loaded

_EVENT = re.compile(r"[a-z][a-z0-9_]{0,31}")
_LARGEST = 2**63 - 1
_OWN = ("event", "quantities", "score")


class StepError(Exception):
    """A step failed: what it raised, or what is wrong with what it returned."""

    def __init__(self, message: str, sql_state: str) -> None:
        super().__init__(message)
        self.sql_state = sql_state


@dataclass(frozen=True)
class Step:
    """A state as the database keeps it: signal.python_state."""

    event: str | None
    quantities: list[int]
    score: float | None
    body: dict[str, Any]

    def document(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "event": self.event,
            "quantities": self.quantities,
            "score": self.score,
            "body": self.body,
        }

    @classmethod
    def of(cls, document: dict[str, Any]) -> Step:
        """Return it from JSON."""
        return cls(*(document[name] for name in ("event", "quantities", "score", "body")))


@dataclass
class Instance:
    """An instance of a strategy that is stepped: its parameters, and where it stands."""

    loaded: Loaded
    parameters: Any
    last: Step | None

    def advance(self, given: StepInput) -> Step:
        """Step it, and return where it stands then.

        Raises
        ------
        StepError
            The step raised, or returned what is no state; it stands where it stood.
        """
        try:
            state = self._state()
        except InputError as error:
            raise StepError(f"its state cannot be read: {error}", "TT001") from error
        try:
            after = self.loaded.strategy.step(state, given, self.parameters)
        except MemoryError:
            raise
        except Exception as error:
            raise StepError(f"{type(error).__name__}: {error}", "P0001") from error
        try:
            self.last = self._step(after, len(given.mids))
        except InputError as error:
            raise StepError(str(error), "TT001") from error
        return self.last

    def stands_at(self, document: dict[str, Any]) -> bool:
        """Say whether it stands at a state that was recorded, to the last bit.

        Read first: JSON numbers of the database are decimals, and a large one is an integer.
        """
        try:
            return self.last == self._step(self._read(Step.of(document)), None)
        except InputError:
            return False

    def _state(self) -> Any:
        return self.loaded.state() if self.last is None else self._read(self.last)

    def _read(self, step: Step) -> Any:
        own = {name: getattr(step, name) for name in _OWN if name in self._names()}
        return decode(self.loaded.state, step.body | own)

    def _names(self) -> set[str]:
        return {field.name for field in self.loaded.state_fields}

    def _step(self, after: Any, legs: int | None) -> Step:
        if type(after) is not self.loaded.state:
            raise InputError(
                f"the step returned {type(after).__name__}, not {self.loaded.state.__name__}"
            )
        document = encode(after)
        event, quantities = document.pop("event"), document.pop("quantities")
        if any(abs(quantity) > _LARGEST for quantity in quantities):
            raise InputError("quantities is out of range")
        if event is not None and (event == "rebalance" or not _EVENT.fullmatch(event)):
            raise InputError(f"the event {event!r} is no name for one")
        if legs is not None and event is not None and len(quantities) != legs:
            raise InputError(f"a signal needs a quantity for each of {legs} legs")
        return Step(event, quantities, document.pop("score", None), document)


def start(loaded: Loaded, parameters: dict[str, Any], last: dict[str, Any] | None) -> Instance:
    """Return an instance to step, from its parameters and its last state as JSON.

    Raises
    ------
    StepError
        They cannot be read, or the class refuses them.
    """
    try:
        read = decode(loaded.parameters, parameters)
    except InputError as error:
        raise StepError(f"its parameters cannot be read: {error}", "TT001") from error
    except Exception as error:
        raise StepError(f"{type(error).__name__}: {error}", "P0001") from error
    return Instance(loaded, read, None if last is None else Step.of(last))
