"""Market data of FIX 4.2 and 5.0 SP2 out of the venue's FIX 4.4, pure.

Neither names the view that an entry stands in: FIX 4.2 has no TradingSessionSubID, and FIX 5.0 SP2
numbers the trading sessions there may be, ours being none of them. RptSeq (83), which a full
refresh of FIX 4.4 has once, stands in each entry in FIX 5.0 SP2; FIX 4.2 has none. A full refresh
of FIX 5.0 SP2 says when it was last changed (779).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from tsdb_trader.venue import protocol, versions
from tsdb_trader.venue.market_data import MarketMessage, Pairs

_FULL = "W"
_REPORT_NUMBER = 83
_DAY, _TIME, _LAST_UPDATE = 272, 273, 779
_NOT_IN_42 = frozenset({_REPORT_NUMBER, 625})
_NOT_IN_50 = frozenset({336, 625})
# MDEntryTime, TransactTime: FIX 4.2 has nothing finer than milliseconds.
_TIMES = frozenset({60, _TIME})
_FINER_THAN_MILLISECONDS = 3
# Codes that FIX 4.2 lacks, and what comes nearest, None for nothing.
_VALUES_42: Mapping[tuple[int, str], str | None] = {(326, "21"): "1", (281, "9"): None}


def adapt(message: MarketMessage, now: datetime) -> MarketMessage:
    """Return a message as the version of its session has it."""
    match versions.begin_string(message.fix_session):
        case versions.FIX42:
            groups = tuple(_pairs_42(entry) for entry in message.groups)
            return replace(message, body=_pairs_42(message.body), groups=groups)
        case versions.FIX50SP2:
            return _adapt_50(message, now)
    return message


def _pairs_42(pairs: Pairs) -> Pairs:
    found = []
    for tag, value in pairs:
        text = _VALUES_42.get((tag, value), value)
        if tag in _NOT_IN_42 or text is None:
            continue
        if tag in _TIMES and "." in text:
            whole, _, fraction = text.partition(".")
            text = f"{whole}.{fraction[:_FINER_THAN_MILLISECONDS]}"
        found.append((tag, text))
    return tuple(found)


def _adapt_50(message: MarketMessage, now: datetime) -> MarketMessage:
    number = tuple(pair for pair in message.body if pair[0] == _REPORT_NUMBER)
    body = tuple(p for p in message.body if p not in number and p[0] not in _NOT_IN_50)
    groups = tuple(
        tuple(pair for pair in (*entry, *number) if pair[0] not in _NOT_IN_50)
        for entry in message.groups
    )
    if message.msg_type == _FULL:
        times = [f"{of[_DAY]}-{of[_TIME]}" for entry in groups if _TIME in (of := dict(entry))]
        body = (*body, (_LAST_UPDATE, max(times, default=protocol.exact_time_text(now))))
    return replace(message, body=body, groups=groups)
