"""An order book in plain Python, written from the venues' documents and not from our SQL.

Databento, MBO schema (actions): A adds an order; C takes its size off an order, fully or partly; M
gives an order a new price or size, and adds it when it is not there; R clears the instrument; T
(the aggressor's trade) and F (a resting order's fill) leave the book alone. CME: a modified order
goes to the end of its queue when its price changes or its size grows.

Nasdaq ITCH 5.0: A and F add; E and C execute shares of an order, X cancels some, D deletes it; U
deletes an order and adds another, which goes to the end of the queue, on the same side.
"""

from __future__ import annotations

from dataclasses import dataclass, field

UNDEFINED_PRICE = (1 << 63) - 1


@dataclass
class Order:
    """A live order; `since` numbers the message that gave it its place in the queue."""

    side: str
    price: int
    size: int
    since: int


@dataclass
class Book:
    """One instrument's live orders, and what was wrong with messages."""

    orders: dict[int, Order] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    sizes: dict[str, dict[int, int]] = field(default_factory=lambda: {"bid": {}, "ask": {}})
    counts: dict[str, dict[int, int]] = field(default_factory=lambda: {"bid": {}, "ask": {}})

    def databento(self, number: int, message: object) -> None:
        """Apply a record of the library `databento_dbn` (MBOMsg)."""
        action, side = str(message.action), {"A": "ask", "B": "bid", "N": ""}[str(message.side)]
        key = message.order_id
        if action == "R":
            self.clear()
        elif action == "A":
            if key in self.orders:
                self.wrong.append(f"{number}: order {key} added twice")
                self.remove(key)
            self.put(key, Order(side, message.price, message.size, number))
        elif action == "M":
            if key not in self.orders:
                self.wrong.append(f"{number}: unknown order {key} modified")
                self.put(key, Order(side, message.price, message.size, number))
                return
            old = self.orders[key]
            keeps = old.price == message.price and message.size <= old.size
            if old.side != side:
                self.wrong.append(f"{number}: order {key} changes sides")
            self.remove(key)
            since = old.since if keeps else number
            self.put(key, Order(side, message.price, message.size, since))
        elif action == "C":
            if key not in self.orders:
                self.wrong.append(f"{number}: unknown order {key} cancelled")
                return
            self.take(number, key, message.size)
        elif action == "F":
            self.check_fill(number, message)
        elif action not in ("T", "N"):
            raise AssertionError(action)

    def itch(
        self,
        number: int,
        action: str,
        key: int,
        *,
        new_key: int = 0,
        side: str = "",
        price: int = 0,
        size: int = 0,
    ) -> None:
        """Apply an event named as in market.book_events; unknown orders leave no trace."""
        if action == "clear":
            self.clear()
        elif action == "add":
            self.put(key, Order(side, price, size, number))
        elif key not in self.orders:
            self.wrong.append(f"{number}: unknown order {key}")
            if action == "replace":
                self.put(new_key, Order(side, price, size, number))
            elif action == "modify" and side:
                self.put(key, Order(side, price, size, number))
        elif action in ("execute", "reduce"):
            self.take(number, key, size)
        elif action == "delete":
            self.remove(key)
        elif action == "replace":
            self.remove(key)
            self.put(new_key, Order(side, price, size, number))
        elif action == "modify":
            old = self.orders[key]
            keeps = old.price == price and size <= old.size
            self.remove(key)
            self.put(key, Order(side or old.side, price, size, old.since if keeps else number))
        else:
            raise AssertionError(action)

    def check_fill(self, number: int, message: object) -> None:
        """Note a fill that its order cannot have had."""
        order = self.orders.get(message.order_id)
        if order is None or order.size < message.size or order.price != message.price:
            self.wrong.append(f"{number}: fill of {message.order_id} that cannot be: {order}")

    def put(self, key: int, order: Order) -> None:
        """Add an order, in place of one of the same id."""
        if key in self.orders:
            self.remove(key)
        if order.size <= 0:
            return
        self.orders[key] = order
        sizes, counts = self.sizes[order.side], self.counts[order.side]
        sizes[order.price] = sizes.get(order.price, 0) + order.size
        counts[order.price] = counts.get(order.price, 0) + 1

    def remove(self, key: int) -> None:
        """Remove an order."""
        order = self.orders.pop(key)
        sizes, counts = self.sizes[order.side], self.counts[order.side]
        sizes[order.price] -= order.size
        counts[order.price] -= 1
        if not counts[order.price]:
            assert sizes[order.price] == 0
            del sizes[order.price], counts[order.price]

    def take(self, number: int, key: int, size: int) -> None:
        """Take size off an order, which keeps its place."""
        order = self.orders[key]
        if size > order.size:
            self.wrong.append(f"{number}: {size} taken off {order.size} of order {key}")
        self.remove(key)
        self.put(key, Order(order.side, order.price, order.size - size, order.since))

    def clear(self) -> None:
        """Forget every order."""
        for key in list(self.orders):
            self.remove(key)

    def depth(self, side: str, levels: int) -> list[tuple[int, int, int]]:
        """Return (price, size, orders) of the best levels of a side."""
        prices = sorted(self.sizes[side], reverse=side == "bid")[:levels]
        return [(p, self.sizes[side][p], self.counts[side][p]) for p in prices]

    def top(self) -> tuple[int | None, ...]:
        """Return price, size and orders of the best bid, then of the best ask; None: no orders."""
        found: list[int | None] = []
        for side, best in (("bid", max), ("ask", min)):
            prices = self.sizes[side]
            if prices:
                price = best(prices)
                found += [price, prices[price], self.counts[side][price]]
            else:
                found += [None, None, None]
        return tuple(found)

    def queue(self, side: str, price: int) -> list[int]:
        """Return the ids of a level's orders, first in the queue first."""
        level = [(o.since, k) for k, o in self.orders.items() if (o.side, o.price) == (side, price)]
        return [key for _, key in sorted(level)]
