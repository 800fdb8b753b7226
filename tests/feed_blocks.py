"""Blocks as one, for tests that ask what a whole file became."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from tsdb_trader.feeds.base import NULL, TABLES, Block, Text, Ticks


def joined(blocks: Iterable[Block]) -> Block:
    """Check each block, and that they follow each other; return them as one."""
    stop = 0
    ticks: dict[str, list[Ticks]] = {}
    rejected, messages = [], []
    for block in blocks:
        assert block.start == stop
        assert block.stop > block.start
        block.check()
        stop = block.stop
        for one in block.ticks:
            ticks.setdefault(one.kind, []).append(one)
        rejected += block.rejected
        messages += block.messages
    whole = Block(0, stop, [_together(t) for t in ticks.values()], messages, rejected)
    whole.check()
    return whole


def _together(parts: list[Ticks]) -> Ticks:
    kind = parts[0].kind
    symbols = [part.symbols for part in parts]
    return Ticks(
        kind,
        np.concatenate([part.ts for part in parts]),
        np.concatenate([part.seq for part in parts]),
        {
            name: np.concatenate([_number(part, name) for part in parts])
            for name in TABLES[kind].numbers
        },
        np.concatenate([part.flags for part in parts]),
        {name: _text([part.texts[name] for part in parts]) for name in TABLES[kind].texts},
        None if symbols[0] is None else _text(symbols),
        np.concatenate([np.zeros(len(p), np.int16) if p.ns is None else p.ns for p in parts]),
    )


def _number(part: Ticks, name: str) -> np.ndarray:
    return part.numbers.get(name, np.full(len(part), NULL))


def _text(parts: list[Text | None]) -> Text:
    values: dict[str, int] = {}
    codes = []
    for part in parts:
        assert part is not None
        places = [values.setdefault(value, len(values)) for value in part.values]
        codes.append(np.array(places, dtype=np.int32)[part.codes])
    return Text(list(values), np.concatenate(codes))


def rows(ticks: Ticks) -> list[tuple[Any, ...]]:
    """Return everything in ticks, row by row."""
    columns: list[list[Any]] = [ticks.ts.tolist(), ticks.seq.tolist(), ticks.flags.tolist()]
    columns += [column.tolist() for column in ticks.numbers.values()]
    texts = [*ticks.texts.values(), *([] if ticks.symbols is None else [ticks.symbols])]
    columns += [[text.values[code] for code in text.codes] for text in texts]
    if ticks.ns is not None:
        columns.append(ticks.ns.tolist())
    return list(zip(*columns, strict=True))
