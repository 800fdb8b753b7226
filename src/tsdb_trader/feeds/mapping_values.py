"""Columns of a file as our integers, exactly: no value is rounded, none goes through a float.

Text and decimals are parsed by pyarrow as 128-bit decimals, whole columns at a time; only where
that fails is it found out which rows it was, and why.
"""

from __future__ import annotations

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

NUMBER = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$"
NAN = r"(?i)^[+-]?(nan|inf|infinity)$"
_EXPONENT = r"[eE]"


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
    if pa.types.is_integer(values.type):
        integers = _from_integers(checks, values, rows, max(places, 0), limit)
    else:
        if not pa.types.is_string(values.type):
            # Floats as the shortest decimal that is the same float.
            values = values.cast(pa.string())
        integers = _from_text(checks, values, rows, max(places, 0), limit)
    if places < 0:
        step = 10**-places
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
    bad = np.array([len(v.encode()) > longest or "\0" in v for v in values], dtype=np.bool_)
    if bad.any():
        checks.reject("too_long", bad[codes])
        values = ["" if wrong else value for value, wrong in zip(values, bad, strict=True)]
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
    try:
        high, low = _halves(values.cast(decimal))
    except pa.ArrowInvalid:
        good = _parsing(checks, values, rows, places)
        high, low = np.zeros(len(values), np.int64), np.full(len(values), NULL)
        if good.any():
            parsed = values.filter(pa.array(good)).cast(decimal)
            high[good], low[good] = _halves(parsed)
    outside = (low != NULL) & ((high != low >> 63) | (low >= limit) | (low <= -limit))
    _reject(checks, "out_of_range", rows, outside)
    low[outside] = NULL
    return low


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
    plain = number & ~matching(_EXPONENT)
    small = matching(r"^[+-]?0*[0-9]{0,18}(\.|$)")
    exact = matching(rf"^[+-]?[0-9]*(\.[0-9]{{0,{places}}}0*)?$") & matching(r"^.{1,60}$")
    for row in np.flatnonzero(number & ~plain).tolist():
        small[row], exact[row] = _with_exponent(values[row].as_py(), places)
    _reject(checks, "out_of_range", rows, number & ~small)
    _reject(checks, "too_precise", rows, number & small & ~exact)
    good = number & small & exact
    # Decimals of more than 38 digits, all but a few of them zeros, are beyond pyarrow.
    for row in np.flatnonzero(good & ~matching(r"^.{1,38}$")).tolist():
        good[row] = False
        _reject(checks, "too_precise", rows, np.arange(len(values)) == row)
    return good


def _with_exponent(value: str, places: int) -> tuple[bool, bool]:
    """Return whether a number is within range, and has no more decimals than so many."""
    parsed = Decimal(value)
    if not parsed:
        return True, parsed.as_tuple().exponent >= -30  # type: ignore[operator]
    small = parsed.adjusted() < 18
    exponent = parsed.normalize().as_tuple().exponent
    return small, small and int(exponent) >= -places
