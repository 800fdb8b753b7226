"""What happens in a book, as values in the order it happened.

Every order that a step changes is named by one of its events, so a caller that writes down the
orders named by events misses none.
"""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple, TypeAlias, TypeVar

from tsdb_trader.venue.matching_values import Phase, Reason

_HALF = Decimal("0.5")
_T = TypeVar("_T", bound=type)


def _of_its_own_kind(cls: _T) -> _T:
    """Let values of two kinds differ, though they hold the same."""

    def equal(self: tuple[object, ...], other: object) -> bool:
        return type(self) is type(other) and tuple.__eq__(self, other)

    def unequal(self: tuple[object, ...], other: object) -> bool:
        return not equal(self, other)

    cls.__eq__ = equal  # type: ignore[method-assign, assignment]
    cls.__ne__ = unequal  # type: ignore[method-assign, assignment]
    return cls


@_of_its_own_kind
class Rejected(NamedTuple):
    """An order was not taken."""

    order_no: int
    reason: Reason


@_of_its_own_kind
class Refused(NamedTuple):
    """A cancel or replace changed nothing."""

    order_no: int
    reason: Reason


@_of_its_own_kind
class Rested(NamedTuple):
    """An order waits from now on, displaying `shown` at `price`; None while it has no price."""

    order_no: int
    price: int | None
    shown: int


@_of_its_own_kind
class Fill(NamedTuple):
    """One trade. `order_no` came, `counter_no` was there; None is the external quote.

    When the quote comes to a resting order, `order_no` is that order and `took` is false; so it is
    for both orders of an auction and of a midpoint trade. `half` is half a unit more than `price`.
    """

    order_no: int
    counter_no: int | None
    price: int
    quantity: int
    took: bool = True
    half: bool = False

    @property
    def exact(self) -> Decimal:
        """Return the price in units of the instrument, half a unit included."""
        return Decimal(self.price) + _HALF if self.half else Decimal(self.price)


@_of_its_own_kind
class Refreshed(NamedTuple):
    """An iceberg order displays its next part, behind the others at its price."""

    order_no: int
    shown: int


@_of_its_own_kind
class Triggered(NamedTuple):
    """A stop order became a market or limit order, because of `price`."""

    order_no: int
    price: int


@_of_its_own_kind
class Repriced(NamedTuple):
    """A pegged order stands at another price, behind the others there; None: nowhere for now."""

    order_no: int
    price: int | None


@_of_its_own_kind
class Replaced(NamedTuple):
    """An order has new terms; with `remaining` 0 it is filled."""

    order_no: int
    quantity: int
    remaining: int
    kept_priority: bool


@_of_its_own_kind
class Reduced(NamedTuple):
    """Some of an order was cancelled, the rest works; its quantity fell by as much."""

    order_no: int
    quantity: int
    reason: Reason


@_of_its_own_kind
class Cancelled(NamedTuple):
    """The rest of an order, `quantity`, is over."""

    order_no: int
    quantity: int
    reason: Reason


@_of_its_own_kind
class Expired(NamedTuple):
    """The rest of an order, `quantity`, is over because its time is."""

    order_no: int
    quantity: int
    reason: Reason


@_of_its_own_kind
class Uncrossed(NamedTuple):
    """An auction found its price; its fills follow."""

    price: int
    volume: int
    imbalance: int


@_of_its_own_kind
class PhaseChanged(NamedTuple):
    """The book is in another phase."""

    phase: Phase


Event: TypeAlias = (
    Rejected
    | Refused
    | Rested
    | Fill
    | Refreshed
    | Triggered
    | Repriced
    | Replaced
    | Reduced
    | Cancelled
    | Expired
    | Uncrossed
    | PhaseChanged
)
