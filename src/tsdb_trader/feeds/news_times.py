"""Times of headlines: texts and numbers as they stand in JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa

from tsdb_trader.feeds import mapping_times
from tsdb_trader.feeds.mapping import UNITS, Time
from tsdb_trader.feeds.news_rows import Number
from tsdb_trader.feeds.row_checks import Checks

Instant: TypeAlias = tuple[int, int]
"""Microseconds since `base.EPOCH`, and nanoseconds beside them."""


def instants(
    values: Sequence[Any], time: Time, latest: datetime, *, needed: bool
) -> tuple[list[Instant | None], dict[int, str]]:
    """Read times: numbers in the unit of `time`, seconds if it names none.

    A text is a number only if `time` names a unit.

    Returns
    -------
    tuple
        An instant for each value, None where there is none; and by place in `values`, why not: a
        key of `base.REASONS`. A value that is not there is wrong only if it is `needed`.
    """
    found: list[Instant | None] = [None] * len(values)
    wrong: dict[int, str] = {}
    numbers, texts = [], []
    for place, value in enumerate(values):
        if value is None or value == "":
            if needed:
                wrong[place] = "missing_value"
        elif not isinstance(value, str):
            wrong[place] = "not_a_time"
        elif isinstance(value, Number) or time.form in UNITS:
            numbers.append(place)
        else:
            texts.append(place)
    unit = time.form if time.form in UNITS else "s"
    for places, form in ((numbers, unit), (texts, time.form)):
        if places:
            how = replace(time, columns=("time",), form=form)
            read, reasons = _read([str(values[place]) for place in places], how, latest)
            for place, instant in zip(places, read, strict=True):
                found[place] = instant
            wrong |= {places[place]: reason for place, reason in reasons.items()}
    return found, wrong


def _read(
    texts: Sequence[str], time: Time, latest: datetime
) -> tuple[list[Instant], dict[int, str]]:
    try:
        column = pa.array(texts, pa.string())
    except UnicodeEncodeError:
        # Some are half a surrogate pair, which is no time.
        column = pa.array([text.encode(errors="replace").decode() for text in texts], pa.string())
    checks = Checks(len(texts))
    ts, ns = mapping_times.instants(checks, {"time": column}, time, frozenset(), latest)
    rejected = checks.rejected(np.arange(len(texts)), lambda row: "")
    return (
        list(zip(ts.tolist(), ns.tolist(), strict=True)),
        {row.position: row.reason for row in rejected},
    )
