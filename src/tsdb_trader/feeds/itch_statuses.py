"""Messages that are neither orders nor trades, in readable form, for market.statuses."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tsdb_trader.feeds.base import Message
from tsdb_trader.feeds.itch_layouts import Layout

_SYSTEM_EVENTS = {
    "O": "start_of_messages",
    "S": "start_of_system_hours",
    "Q": "start_of_market_hours",
    "M": "end_of_market_hours",
    "E": "end_of_system_hours",
    "C": "end_of_messages",
}


def decimal(value: int, decimals: int) -> str:
    """Return an integer with implied decimals as text, exactly."""
    digits = f"{value:0{decimals + 1}d}"
    return f"{digits[:-decimals]}.{digits[-decimals:]}"


def details(layout: Layout, records: NDArray[np.void]) -> Iterator[dict[str, Any]]:
    """Yield every field of each message but type and time: prices as text, texts stripped."""
    names = ("stock_locate", "tracking_number", *(name for name, _ in layout.fields))
    columns: list[Sequence[Any]] = []
    for name in names:
        values = records[name].tolist()
        if name in layout.texts:
            values = [value.decode("ascii").rstrip() for value in values]
        elif name in layout.decimals:
            values = [decimal(value, layout.decimals[name]) for value in values]
        columns.append(values)
    for row in zip(*columns, strict=True):
        yield dict(zip(names, row, strict=True))


def messages(
    layout: Layout,
    records: NDArray[np.void],
    symbols: Sequence[str | None],
    times: Iterable[tuple[int, int, int, int]],
) -> Iterator[Message]:
    """Yield a status for each message.

    Parameters
    ----------
    times
        Of each message: ts, ns, row and receive time, as in `Message`.
    """
    for detail, symbol, (ts, ns, seq, recv_ts) in zip(
        details(layout, records), symbols, times, strict=True
    ):
        if layout.name == "system_event":
            detail["event"] = _SYSTEM_EVENTS.get(detail["event_code"], "unknown")
        code = detail.get(layout.code, "")
        columns = {"kind": layout.name, "code": code, "detail": detail}
        yield Message("statuses", ts, seq, columns, symbol, ns, recv_ts)
