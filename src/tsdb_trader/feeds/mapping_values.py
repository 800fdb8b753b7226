"""Columns of a file as our integers, exactly: no value is rounded, none goes through a float.

Text and decimals are parsed by pyarrow as 128-bit decimals, whole columns at a time; only where
that fails is it found out which rows it was, and why.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tsdb_trader.feeds.base import NULL, Integers, Text
from tsdb_trader.feeds.mapping import Number, Words
from tsdb_trader.feeds.row_checks import Checks, Mask

LIMIT = 10**15
"""Integers from here on are out of range: products of two would not fit anywhere."""
_ID_LIMIT = 2**63 - 1
_MOST_DIGITS = 19
_LONGEST_EXPONENT = 6
_MOST_DECIMALS = 100
# What is longer pyarrow may take for 0.
_LONGEST = 38

NUMBER = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$"
NAN = r"(?i)^[+-]?(nan|inf|infinity)$"


def is_null(column: pa.Array, nulls: frozenset[str]) -> Mask:
    """Mark the rows without a value."""
    found = column.is_null().to_numpy(zero_copy_only=False)
    if pa.types.is_string(column.type) and nulls:
        texts = pc.is_in(column, value_set=pa.array(sorted(nulls), pa.string()))
        found = found | texts.to_numpy(zero_copy_only=False)
    return np.asarray(found, dtype=np.bool_)


def scaled(
    checks: Checks,
    column: pa.Array,
    number: Number,
    scale: int,
    nulls: frozenset[str],
    limit: int = LIMIT,
) -> Integers:
    """Return a column as integers with so many decimals; rejects rows it cannot.

    Returns
    -------
    ndarray
        `NULL` where there is no value or the row is rejected.
    """
    missing = is_null(column, nulls)
    found = np.full(len(column), NULL, dtype=np.int64)
    rows = np.flatnonzero(~missing)
    if not len(rows):
        return found
    values = column if len(rows) == len(column) else column.take(pa.array(rows))
    places = scale - number.decimals
    step = 10 ** max(-places, 0)
    widest = min(limit * step, _ID_LIMIT)
    if pa.types.is_integer(values.type):
        integers = _from_integers(checks, values, rows, max(places, 0), widest)
    else:
        if not pa.types.is_string(values.type):
            # Floats as the shortest decimal that is the same float.
            values = values.cast(pa.string())
        integers = _from_text(checks, values, rows, max(places, 0), widest)
    if step > 1:
        _reject(checks, "too_precise", rows, (integers != NULL) & (integers % step != 0))
        integers = np.where(integers == NULL, NULL, integers // step)
    if number.factor != 1:
        big = np.abs(np.where(integers == NULL, 0, integers)) >= limit // number.factor
        _reject(checks, "out_of_range", rows, big)
        integers = np.where((integers == NULL) | big, NULL, integers * number.factor)
    found[rows] = integers
    return found


def identifiers(checks: Checks, column: pa.Array, nulls: frozenset[str]) -> Integers:
    """Return a column of whole numbers of up to 63 bits."""
    return scaled(checks, column, Number(""), 0, nulls, _ID_LIMIT)


def texts(
    checks: Checks, columns: dict[str, pa.Array], words: Words, rows: int, longest: int = 4095
) -> Text:
    """Return a text column, translated; no value is the empty text."""
    if words.column is None:
        return Text([words.constant], np.zeros(rows, dtype=np.int32))
    column = columns[words.column]
    if not pa.types.is_string(column.type):
        column = column.cast(pa.string())
    encoded = column.dictionary_encode()
    values = encoded.dictionary.to_pylist()
    codes = encoded.indices.fill_null(len(values)).to_numpy(zero_copy_only=False)
    values = [words.values.get(value, value) for value in values] + [words.values.get("", "")]
    for reason, found in (
        ("too_long", [len(value.encode()) > longest for value in values]),
        ("malformed", ["\0" in value for value in values]),
    ):
        if any(found):
            checks.reject(reason, np.array(found, dtype=np.bool_)[codes])
            values = ["" if wrong else v for v, wrong in zip(values, found, strict=True)]
    return Text(values, codes.astype(np.int32))


def _reject(checks: Checks, reason: str, rows: NDArray[Any], wrong: Mask) -> None:
    if wrong.any():
        mask = np.zeros(len(checks.good), dtype=np.bool_)
        mask[rows[wrong]] = True
        checks.reject(reason, mask)


def _from_integers(
    checks: Checks, values: pa.Array, rows: NDArray[Any], places: int, limit: int
) -> Integers:
    if pa.types.is_uint64(values.type):
        large = pc.greater(values, pa.scalar(2**63 - 1, pa.uint64())).to_numpy(zero_copy_only=False)
        _reject(checks, "out_of_range", rows, large)
        values = pc.if_else(pa.array(large), pa.scalar(0, pa.uint64()), values)
    found: Integers = values.cast(pa.int64()).to_numpy(zero_copy_only=False)
    most = (limit - 1) // 10**places
    outside = (found > most) | (found < -most)
    _reject(checks, "out_of_range", rows, outside)
    return np.where(outside, NULL, found * 10**places)


def _from_text(
    checks: Checks, values: pa.Array, rows: NDArray[Any], places: int, limit: int
) -> Integers:
    decimal = pa.decimal128(38, places)
    values = _without_exponents(checks, values, rows)
    found = None if _longest(values) > _LONGEST else _cast(values, decimal)
    good = np.ones(len(values), dtype=np.bool_)
    if found is not None:
        high, low = _halves(found)
    else:
        good = _parsing(checks, values, rows, places)
        high, low = np.zeros(len(values), np.int64), np.full(len(values), NULL)
        if good.any():
            parsed = values.filter(pa.array(good)).cast(decimal)
            high[good], low[good] = _halves(parsed)
    # Not by low alone: 2 ** 63 looks like NULL there.
    outside = good & ((high != low >> 63) | (low >= limit) | (low <= -limit))
    _reject(checks, "out_of_range", rows, outside)
    low[outside] = NULL
    return low


def _cast(values: pa.Array, decimal: pa.DataType) -> pa.Array | None:
    try:
        return values.cast(decimal)
    except pa.ArrowInvalid:
        return None


def _longest(values: pa.Array) -> int:
    return pc.max(pc.binary_length(values)).as_py() or 0


def _without_exponents(checks: Checks, values: pa.Array, rows: NDArray[Any]) -> pa.Array:
    """Write numbers such as 1e-5 without exponent: pyarrow takes very small ones for 0."""
    _, bounds, data = values.buffers()
    ends = np.frombuffer(bounds, dtype=np.int32)[values.offset : values.offset + len(values) + 1]
    letters = np.frombuffer(data, dtype=np.uint8)[ends[0] : ends[-1]] if data else np.empty(0, "u1")
    if not ((letters | 0x20) == ord("e")).any():
        return values
    found = values.to_pylist()
    large, small = (np.zeros(len(found), dtype=np.bool_) for _ in range(2))
    for row, text in enumerate(found):
        if re.fullmatch(NUMBER, text) and "e" in text.lower():
            exponent = text.lower().partition("e")[2]
            if len(exponent) > _LONGEST_EXPONENT:
                # Decimal would refuse some of these.
                (small if exponent.startswith("-") else large)[row] = True
                found[row] = "0"
                continue
            number = Decimal(text)
            large[row] = bool(number) and number.adjusted() >= _MOST_DIGITS
            small[row] = bool(number) and int(number.as_tuple().exponent) < -_MOST_DECIMALS
            bad = large[row] or small[row] or not number
            found[row] = "0" if bad else format(number, "f")
    _reject(checks, "out_of_range", rows, large)
    _reject(checks, "too_precise", rows, small)
    return pa.array(found, pa.string())


def _halves(values: pa.Array) -> tuple[Integers, Integers]:
    """Return the upper and lower 64 bits of decimals; the upper are all sign if it fits."""
    both = np.frombuffer(values.buffers()[1], dtype="<i8").reshape(-1, 2)
    both = both[values.offset : values.offset + len(values)]
    return both[:, 1].astype(np.int64), both[:, 0].astype(np.int64)


def _parsing(checks: Checks, values: pa.Array, rows: NDArray[Any], places: int) -> Mask:
    """Reject what is no number that fits, and mark the rest."""

    def matching(pattern: str) -> Mask:
        found = pc.match_substring_regex(values, pattern).to_numpy(zero_copy_only=False)
        return np.asarray(found, dtype=np.bool_)

    number = matching(NUMBER)
    nan = matching(NAN)
    _reject(checks, "nan", rows, nan)
    _reject(checks, "not_a_number", rows, ~number & ~nan)
    small = matching(rf"^[+-]?0*[0-9]{{0,{_MOST_DIGITS}}}(\.|$)")
    exact = matching(rf"^[+-]?[0-9]*(\.[0-9]{{0,{places}}}0*)?$")
    exact &= matching(rf"^.{{1,{_LONGEST}}}$")
    _reject(checks, "out_of_range", rows, number & ~small)
    _reject(checks, "too_precise", rows, number & small & ~exact)
    return number & small & exact
