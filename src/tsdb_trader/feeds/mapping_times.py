"""Columns of times as instants, to the nanosecond."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from tsdb_trader.feeds.base import EPOCH, NULL, Integers
from tsdb_trader.feeds.mapping import UNITS, Number, Time
from tsdb_trader.feeds.mapping_values import is_null, scaled
from tsdb_trader.feeds.row_checks import Checks, Mask

_UNIX = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_NS = (EPOCH - _UNIX) // timedelta(microseconds=1) * 1000
_DAY_NS = 86_400 * 10**9
_LATEST = 2**63 - 1
_ZONED = r"([zZ]|[+-][0-9]{2}(:?[0-9]{2})?)$"
_YEAR = r"^[0-9]{4}-?[0-9]{2}-?[0-9]{2}"


def instants(
    checks: Checks,
    columns: dict[str, pa.Array],
    time: Time,
    nulls: frozenset[str],
    latest: datetime,
) -> tuple[Integers, Integers]:
    """Return times as microseconds since `EPOCH`, and the nanoseconds that these do not hold.

    Rejects times before 1970 or after `latest`, local ones that do not exist or, unless `time`
    decides it, exist twice, and what is no time. A rejected row has the time 0.
    """
    parts = [columns[name] for name in time.columns]
    missing = np.zeros(len(parts[0]), dtype=np.bool_)
    for part in parts:
        missing |= is_null(part, nulls)
    checks.reject("missing_value", missing)
    # Nanoseconds since 1970, of the wall clock where `local`.
    ns, local = _read(checks, parts, time, nulls)
    found = np.where(local, _to_utc(checks, np.where(local, ns, NULL), time), ns)
    end = (latest - _UNIX) // timedelta(microseconds=1) * 1000
    checks.reject("absurd_time", (found != NULL) & ((found < 0) | (found > end)))
    since = np.where(checks.good, found, _EPOCH_NS) - _EPOCH_NS
    return since // 1000, since % 1000


def _read(
    checks: Checks, parts: list[pa.Array], time: Time, nulls: frozenset[str]
) -> tuple[Integers, Mask]:
    everything = np.ones(len(parts[0]), dtype=np.bool_)
    if len(parts) == 2:
        days, _ = _points(checks, parts[0], Time(time.columns[:1]), nulls)
        clock = parts[1]
        if time.form in UNITS or pa.types.is_time(clock.type):
            return _add(checks, days, _since_midnight(checks, clock, time.form, nulls)), everything
        if pa.types.is_string(parts[0].type) and pa.types.is_string(clock.type):
            both = pc.binary_join_element_wise(parts[0], clock, " ")
            return _points(checks, both, time, nulls)
        checks.reject("not_a_time", everything)
        return days, everything
    if time.day is not None:
        midnight = (time.day - date(1970, 1, 1)).days * _DAY_NS
        days = np.full(len(parts[0]), midnight)
        return _add(checks, days, _since_midnight(checks, parts[0], time.form, nulls)), everything
    return _points(checks, parts[0], time, nulls)


def _counted(checks: Checks, column: pa.Array, form: str, nulls: frozenset[str]) -> Integers:
    """Return numbers in a unit as nanoseconds."""
    own = Checks(len(column))
    found = scaled(own, column, Number(""), UNITS[form], nulls, _LATEST)
    checks.adopt(own, {"out_of_range": "absurd_time"})
    return found


def _since_midnight(checks: Checks, clock: pa.Array, form: str, nulls: frozenset[str]) -> Integers:
    if pa.types.is_time(clock.type):
        ns = clock.cast(pa.time64("ns")).cast(pa.int64())
        found = np.asarray(ns.fill_null(NULL).to_numpy(zero_copy_only=False), dtype=np.int64)
    else:
        found = _counted(checks, clock, form, nulls)
    outside = (found != NULL) & ((found < 0) | (found >= _DAY_NS))
    checks.reject("time_out_of_day", outside)
    return np.where(outside, NULL, found)


def _add(checks: Checks, days: Integers, clock: Integers) -> Integers:
    there = (days != NULL) & (clock != NULL)
    return np.where(there, days + np.where(there, clock, 0), NULL)


def _points(
    checks: Checks, column: pa.Array, time: Time, nulls: frozenset[str]
) -> tuple[Integers, Mask]:
    """Read points in time, local ones where they do not say their zone."""
    kind = column.type
    if pa.types.is_timestamp(kind):
        local = np.full(len(column), kind.tz is None)
        return _nanoseconds(checks, column, kind.unit), local
    if pa.types.is_date(kind):
        days = column.cast(pa.date32())
        ns = _nanoseconds(checks, days.cast(pa.timestamp("s")), "s")
        return ns, np.ones(len(column), dtype=np.bool_)
    if time.form in UNITS:
        ns = _counted(checks, column, time.form, nulls)
        return ns, np.zeros(len(column), dtype=np.bool_)
    if not pa.types.is_string(kind):
        column = column.cast(pa.string())
    return _text(checks, column, time, nulls)


def _nanoseconds(checks: Checks, column: pa.Array, unit: str) -> Integers:
    step = 10 ** UNITS[unit]
    values = column.cast(pa.int64()).fill_null(NULL).to_numpy(zero_copy_only=False)
    outside = (values != NULL) & ((values > _LATEST // step) | (values < -_LATEST // step))
    checks.reject("absurd_time", outside)
    there = (values != NULL) & ~outside
    return np.where(there, np.where(there, values, 0) * step, NULL)


def _text(
    checks: Checks, column: pa.Array, time: Time, nulls: frozenset[str]
) -> tuple[Integers, Mask]:
    local = np.ones(len(column), dtype=np.bool_)
    missing = is_null(column, nulls)
    if time.form == "iso" and not missing.any():
        try:
            found = column.cast(pa.timestamp("ns")).cast(pa.int64())
            return found.to_numpy(zero_copy_only=False), local
        except pa.ArrowInvalid:
            # Some are no times, or say their zone.
            pass
    values = pd.Series(column.to_pandas())
    zoned = pc.match_substring_regex(column, _ZONED).fill_null(False).to_numpy(zero_copy_only=False)
    dated = pc.match_substring_regex(column, _YEAR).fill_null(False).to_numpy(zero_copy_only=False)
    # A date alone, such as 2013-10-07, ends like an offset of seven hours.
    zoned = zoned & pc.match_substring_regex(column, "[:T]").fill_null(False).to_numpy(
        zero_copy_only=False
    )
    if time.form != "iso":
        zoned = np.full(len(column), "%z" in time.form)
    found = np.full(len(column), NULL, dtype=np.int64)
    form = "ISO8601" if time.form == "iso" else time.form
    for rows, utc in ((zoned & ~missing, True), (~zoned & ~missing, False)):
        if rows.any():
            found[rows] = _parse(values[rows], form, utc)
    wrong = (found == NULL) & ~missing
    years = pc.utf8_slice_codeunits(column, 0, 4).fill_null("").to_numpy(zero_copy_only=False)
    far = np.zeros(len(column), dtype=np.bool_)
    for row in np.flatnonzero(wrong & dated & (time.form == "iso")).tolist():
        far[row] = not 1970 <= int(years[row]) <= 2261
    checks.reject("absurd_time", far)
    checks.reject("not_a_time", wrong & ~far)
    return found, ~zoned


def _parse(values: pd.Series[Any], form: str, utc: bool) -> Integers:
    parsed = pd.to_datetime(values, format=form, errors="coerce", utc=utc)
    if not isinstance(parsed.dtype, pd.DatetimeTZDtype) and parsed.dtype.kind != "M":
        # Mixed with and without zone against the pattern: none of it is known.
        return np.full(len(values), NULL, dtype=np.int64)
    bare = parsed.dt.tz_localize(None) if utc else parsed
    found: Integers = bare.to_numpy(dtype="datetime64[ns]").astype(np.int64)
    return found


def _to_utc(checks: Checks, wall: Integers, time: Time) -> Integers:
    """Return the instants of wall clock times, `NULL` for such as there are none."""
    if time.zone == "UTC" or not (wall != NULL).any():
        return wall
    index = pd.DatetimeIndex(wall.astype("datetime64[ns]"))
    either = [
        index.tz_localize(time.zone, ambiguous=np.full(len(wall), summer), nonexistent="NaT")
        for summer in (True, False)
    ]
    first, second = (
        np.asarray(found.tz_convert("UTC").tz_localize(None).to_numpy().astype(np.int64))
        for found in either
    )
    checks.reject("skipped_time", (first == NULL) & (wall != NULL))
    if time.ambiguous == "reject":
        checks.reject("ambiguous_time", first != second)
    found: Integers = second if time.ambiguous == "second" else first
    return found
