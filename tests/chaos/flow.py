"""Requests of a busy desk: every kind of order, over several accounts and venues."""

from __future__ import annotations

import random
from collections import deque
from dataclasses import dataclass, field
from typing import Any, NamedTuple

ACCOUNTS = ("alpha", "beta", "gamma")
SYMBOLS = ("IBM", "MSFT")
LEGS = ("AAA", "BBB")
"""A pair that a strategy trades, and the desk does not."""
VENUES = ("SIM", "SIM", "SIMPR", "SIMDARK")
_KEPT = 60


class Wish(NamedTuple):
    """A request as it would be put: the function, its argument, and the order it is about."""

    call: str
    argument: Any
    order_id: int | None = None


@dataclass
class Desk:
    """Thinks of requests.

    Attributes
    ----------
    session_id
        The trading session.
    mid
        The price that everything is near to.
    """

    session_id: str
    rng: random.Random
    mid: float = 100.0
    orders: deque[int] = field(default_factory=lambda: deque(maxlen=_KEPT))
    parents: deque[tuple[int, dict[str, Any]]] = field(default_factory=lambda: deque(maxlen=5))

    def think(self) -> Wish:
        """Return the next request."""
        draw = self.rng.random()
        if draw < 0.45 or not self.orders:
            return Wish("submit", self._order())
        if draw < 0.60:
            return Wish("replace", self._changes(), self.rng.choice(self.orders))
        if draw < 0.74:
            return Wish("cancel", None, self.rng.choice(self.orders))
        if draw < 0.84:
            return Wish("basket", self._bracket())
        if draw < 0.90:
            return Wish("submit", self._parent())
        if draw < 0.985 and self.parents:
            return Wish("submit", self._child())
        scope = {"session_id": self.session_id, "account": self.rng.choice(ACCOUNTS)}
        return Wish("cancel_all", scope)

    def told(self, wish: Wish, rows: list[tuple[int, str, list[str]]]) -> None:
        """Learn the answer."""
        if wish.call not in ("submit", "basket"):
            return
        for order_id, status, _ in rows:
            if status == "denied":
                continue
            if wish.call == "submit" and wish.argument.get("is_parent"):
                self.parents.append((order_id, wish.argument))
            self.orders.append(order_id)

    def _price(self, side: str, aggression: float) -> str:
        """Return a limit price: positive aggression is through the market."""
        sign = 1 if side == "buy" else -1
        return f"{self.mid + sign * aggression:.2f}"

    def _base(self) -> dict[str, Any]:
        side = self.rng.choice(("buy", "sell"))
        return {
            "session_id": self.session_id,
            "account": self.rng.choice(ACCOUNTS),
            "strategy": "manual",
            "origin": "operator",
            "operator": "chaos",
            "symbol": self.rng.choice(SYMBOLS),
            "venue": self.rng.choice(VENUES),
            "side": side,
            "quantity": str(self.rng.choice((10, 100, 250, 900))),
            "order_type": "limit",
            "limit_price": self._price(side, self.rng.choice((-0.5, -0.05, -0.02, 0.0, 0.05))),
        }

    def _order(self) -> dict[str, Any]:
        order = self._base()
        if order["venue"] == "SIMDARK":
            return order | {"limit_price": self._price(order["side"], 0.05)}
        draw = self.rng.random()
        if draw < 0.12:
            del order["limit_price"]
            return order | {"order_type": "market"}
        if draw < 0.22:
            return order | {"time_in_force": "ioc"}
        if draw < 0.30:
            return order | {"time_in_force": "gtc", "display_quantity": "10"}
        if draw < 0.40:
            del order["limit_price"]
            return order | {
                "order_type": "stop",
                "stop_price": self._price(order["side"], self.rng.choice((0.03, 0.6))),
            }
        return order

    def _bracket(self) -> list[dict[str, Any]]:
        entry = self._base() | {"venue": "SIM", "side": "buy", "quantity": "100"}
        entry["limit_price"] = self._price("buy", self.rng.choice((-0.02, 0.05)))
        leg = entry | {"side": "sell", "contingent_on": 1, "oco": "exit"}
        stop = {k: v for k, v in leg.items() if k != "limit_price"}
        return [
            entry,
            leg | {"limit_price": self._price("sell", -0.06)},
            stop | {"order_type": "stop", "stop_price": self._price("sell", 0.06)},
        ]

    def _parent(self) -> dict[str, Any]:
        order = self._base() | {"is_parent": True, "quantity": "1000"}
        del order["venue"]
        return order | {"limit_price": self._price(order["side"], 0.2)}

    def _child(self) -> dict[str, Any]:
        parent_id, parent = self.rng.choice(self.parents)
        kept = ("session_id", "account", "strategy", "symbol", "side")
        return {k: parent[k] for k in kept} | {
            "origin": "parent",
            "parent_order_id": parent_id,
            "venue": self.rng.choice(("SIM", "SIMPR")),
            "quantity": "150",
            "order_type": "limit",
            "limit_price": self._price(parent["side"], self.rng.choice((-0.02, 0.05))),
        }

    def _changes(self) -> dict[str, str]:
        changes = {}
        if self.rng.random() < 0.6:
            changes["quantity"] = str(self.rng.choice((50, 150, 300)))
        if self.rng.random() < 0.6 or not changes:
            changes["limit_price"] = f"{self.mid + self.rng.choice((-0.05, -0.01, 0.01, 0.05)):.2f}"
        return changes
