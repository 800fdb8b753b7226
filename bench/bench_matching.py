"""Matching: messages per second of a price-time book, on one core in pure Python.

The flow is that of a busy stock: seven in ten messages enter a limit order near the best price, one
takes, two cancel; a quote comes now and then. Orders are made before the clock starts. The limit is
what the same machine needs for the bare containers of the same flow: a dictionary of orders, a
dictionary of queues by price, a heap of prices, and one tuple for each message and trade; without
any rule of a venue. A pro rata book, a dark one and one with a thousand more price levels follow.

usage: bench_matching.py [messages, default 200,000]
"""

from __future__ import annotations

import gc
import heapq
import statistics
import sys
import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import TypeAlias

from tsdb_trader.venue.matching import Book
from tsdb_trader.venue.matching_events import Fill
from tsdb_trader.venue.matching_values import Matching, Order, Quote, Rules, TimeInForce

ROUNDS = 5
AIM = 150_000
MIDDLE = 100_000
Message: TypeAlias = Order | Quote | int


def flow(messages: int, seed: int = 1) -> list[Message]:
    """Return orders, quotes and the numbers of orders to cancel."""
    random = Random(seed)
    made: list[Message] = [Quote(MIDDLE - 5, 100, MIDDLE + 5, 100)]
    open_orders: list[int] = []
    for number in range(1, messages):
        chance = random.random()
        is_buy = random.random() < 0.5
        sign = 1 if is_buy else -1
        if chance < 0.01:
            bid = MIDDLE - 5 + random.randint(-2, 2)
            made.append(
                Quote(bid, random.randint(1, 9) * 100, bid + 10, random.randint(1, 9) * 100)
            )
        elif chance < 0.30 and open_orders:
            place = random.randrange(len(open_orders))
            open_orders[place], open_orders[-1] = open_orders[-1], open_orders[place]
            made.append(open_orders.pop())
        elif chance < 0.40:
            quantity = random.randint(1, 10) * 100
            made.append(Order(number, is_buy, MIDDLE + sign * 6, quantity, TimeInForce.IOC))
        else:
            limit = MIDDLE - sign * min(int(random.expovariate(0.1)), 400)
            made.append(Order(number, is_buy, limit, random.randint(1, 5) * 100))
            open_orders.append(number)
    return made


def run(book: Book, messages: list[Message]) -> tuple[float, int]:
    """Return the seconds a book needs for a flow, and the trades there were."""
    todo = [replace(m) if isinstance(m, Order) else m for m in messages]
    fills = 0
    gc.collect()
    began = time.process_time()
    for message in todo:
        if type(message) is Order:
            events = book.submit(message)
        elif type(message) is int:
            events = book.cancel(message)
        else:
            events = book.apply_quote(message)  # type: ignore[arg-type]
        for event in events:
            if type(event) is Fill:
                fills += 1
    return time.process_time() - began, fills


def bare(messages: list[Message]) -> float:
    """Return the seconds that the containers alone need for a flow."""
    todo = [replace(m) if isinstance(m, Order) else m for m in messages]
    orders: dict[int, Order] = {}
    levels: dict[tuple[bool, int], deque[Order]] = {}
    heaps: dict[bool, list[int]] = {True: [], False: []}
    gc.collect()
    began = time.process_time()
    for message in todo:
        events = []
        if type(message) is Order:
            key = 1 if message.is_buy else -1
            heap = heaps[not message.is_buy]
            while message.remaining and heap and heap[0] <= key * (message.limit or 0):
                level = levels[not message.is_buy, abs(heap[0])]
                if not level:
                    heapq.heappop(heap)
                    continue
                other = level[0]
                quantity = min(other.remaining, message.remaining)
                other.remaining -= quantity
                message.remaining -= quantity
                events.append((message.order_no, other.order_no, quantity))
                if not other.remaining:
                    level.popleft()
                    orders.pop(other.order_no, None)
            if message.remaining and message.time_in_force is TimeInForce.DAY:
                place = message.is_buy, message.limit or 0
                if place not in levels:
                    levels[place] = deque()
                if not levels[place]:
                    heapq.heappush(heaps[message.is_buy], -key * (message.limit or 0))
                levels[place].append(message)
                orders[message.order_no] = message
            events.append((message.order_no, message.remaining, 0))
        elif type(message) is int:
            gone = orders.pop(message, None)
            if gone is not None:
                # As deep as a dictionary would find it, where a queue would have to search.
                gone.remaining = 0
            events.append((message, 0, 0))
    return time.process_time() - began


def report(name: str, make: Callable[[], Book], messages: list[Message]) -> float:
    """Print the rate of a kind of book, and return it."""
    runs = [run(make(), messages) for _ in range(ROUNDS)]
    rate = len(messages) / statistics.median(seconds for seconds, _ in runs)
    print(f"{name}: {rate:,.0f} messages/s, {runs[0][1]:,} trades")
    return rate


def deep() -> Book:
    """Return a book with a thousand more prices on each side, far from the market."""
    book = Book()
    for number in range(1_000):
        book.submit(Order(-1 - 2 * number, True, MIDDLE - 5_000 - number, 100))
        book.submit(Order(-2 - 2 * number, False, MIDDLE + 5_000 + number, 100))
    return book


if __name__ == "__main__":
    wanted = int(sys.argv[1]) if len(sys.argv) > 1 else 200_000
    messages = flow(wanted)
    rate = report("price-time", Book, messages)
    limit = len(messages) / statistics.median(bare(messages) for _ in range(ROUNDS))
    print(f"limit (bare dictionaries, queues and a heap): {limit:,.0f} messages/s")
    print(f"ratio: {limit / rate:.2f}{'' if rate >= AIM else f'; TOO SLOW, the aim is {AIM:,}/s'}")
    report("price-time, 2,000 more levels", deep, messages)
    report("pro rata", lambda: Book(Rules(Matching.PRO_RATA, lot=100, minimum_share=200)), messages)
    report("midpoint", lambda: Book(Rules(Matching.MIDPOINT)), messages)
