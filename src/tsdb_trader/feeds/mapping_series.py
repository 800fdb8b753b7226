"""Rows of a mapped file that are values of numeric series (market.alt_series)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tsdb_trader.feeds.base import Integers, Message, Text
from tsdb_trader.feeds.mapping import Series
from tsdb_trader.feeds.mapping_values import NAN, NUMBER, is_null, texts
from tsdb_trader.feeds.row_checks import Checks

_LONGEST_NUMBER = 60


@dataclass(frozen=True)
class SeriesValues:
    """A block's values, exactly as they were written."""

    name: Text
    unit: Text
    value: pa.Array

    def messages(
        self,
        rows: Integers,
        seq: Integers,
        times: tuple[Integers, Integers, Integers | None],
        symbols: Text | None,
    ) -> Iterator[Message]:
        """Yield the messages of some rows; times are ts, ns and recv_ts."""
        ts, ns, received = times
        for row in rows.tolist():
            symbol = None if symbols is None else symbols.values[symbols.codes[row]]
            yield Message(
                "series",
                int(ts[row]),
                int(seq[row]),
                {
                    "series": self.name.values[self.name.codes[row]],
                    "value": Decimal(self.value[row].as_py()),
                    "unit": self.unit.values[self.unit.codes[row]],
                },
                symbol or None,
                int(ns[row]),
                None if received is None else int(received[row]),
            )


def read(
    checks: Checks, columns: dict[str, pa.Array], series: Series, nulls: frozenset[str], rows: int
) -> SeriesValues:
    """Read the values, and reject rows whose value is no number or whose series has no name."""
    value = columns[series.value]
    if not pa.types.is_string(value.type):
        value = value.cast(pa.string())
    checks.reject("missing_value", is_null(value, nulls))
    value = value.fill_null("")
    for reason, pattern, wanted in (
        ("nan", NAN, False),
        ("not_a_number", NUMBER, True),
        ("out_of_range", rf"^.{{1,{_LONGEST_NUMBER}}}$", True),
        ("out_of_range", r"[eE][+-]?0*[0-9]{3}", False),
    ):
        found = pc.match_substring_regex(value, pattern).to_numpy(zero_copy_only=False)
        checks.reject(reason, np.asarray(found, dtype=np.bool_) != wanted)
    name = texts(checks, columns, series.name, rows)
    unit = texts(checks, columns, series.unit, rows)
    unnamed = np.array([not text for text in name.values], dtype=np.bool_)
    checks.reject("missing_value", unnamed[name.codes])
    return SeriesValues(name, unit, value)
