"""Heaps from which orders can also be taken out, and walked without being changed."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from typing import Generic, TypeVar

from tsdb_trader.venue.matching_values import Order

_K = TypeVar("_K")
_FEW = 64


class OrderHeap(Generic[_K]):
    """Orders by a key, the least first. Every operation costs O(log n), amortised.

    An order that is taken out leaves its entry, which is skipped when it comes to the top;
    entries that outnumber the orders are swept out.
    """

    __slots__ = ("_heap", "_orders")

    def __init__(self) -> None:
        self._heap: list[tuple[_K, int]] = []
        self._orders: dict[int, tuple[_K, Order]] = {}

    def __len__(self) -> int:
        return len(self._orders)

    def __contains__(self, order_no: int) -> bool:
        return order_no in self._orders

    def push(self, key: _K, order: Order) -> None:
        """Put an order in, or under another key."""
        self._orders[order.order_no] = (key, order)
        heapq.heappush(self._heap, (key, order.order_no))
        if len(self._heap) > 2 * len(self._orders) + _FEW:
            self._heap = [(key, number) for number, (key, _) in self._orders.items()]
            heapq.heapify(self._heap)

    def remove(self, order_no: int) -> None:
        """Take an order out."""
        del self._orders[order_no]

    def pop_to(self, bound: _K) -> Iterator[Order]:
        """Take out and yield the orders with keys up to `bound`, the least first."""
        while self._heap:
            key, number = self._heap[0]
            found = self._orders.get(number)
            live = found is not None and found[0] == key
            if live and key > bound:  # type: ignore[operator]
                return
            heapq.heappop(self._heap)
            if live and found is not None:
                del self._orders[number]
                yield found[1]

    def clear(self) -> list[Order]:
        """Take out and return everything."""
        orders = [order for _, order in self._orders.values()]
        self._heap, self._orders = [], {}
        return orders


def walk_heap(heap: list[int]) -> Iterator[int]:
    """Yield the elements of a heap in order, leaving it as it is; k of them cost O(k log k).

    The children of an element follow it, so the next smallest is always the child of one seen
    (Frederickson 1993, "An optimal algorithm for selection in a min-heap", section 1).
    """
    ahead = [(heap[0], 0)] if heap else []
    while ahead:
        key, at = heapq.heappop(ahead)
        yield key
        for child in (2 * at + 1, 2 * at + 2):
            if child < len(heap):
                heapq.heappush(ahead, (heap[child], child))
