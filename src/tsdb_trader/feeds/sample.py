"""Sample tick files: a synthetic market around real daily closes, in lean's format.

The closes are the 20 stocks of the S&P 500 in the data file of the skfolio package, which is read
as a file. Everything within a day is generated. The same arguments give the same bytes.
"""

from __future__ import annotations

import importlib.util
import io
import os
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from pyarrow import csv

from tsdb_trader.errors import ConfigurationError, InputError
from tsdb_trader.feeds.sample_market import (
    OPEN_MS,
    Outage,
    Rows,
    bridge,
    mean_reverting,
    stock_day,
)

PAIRS = (
    *(("KO", "PEP"), ("CVX", "XOM"), ("JPM", "BAC"), ("MRK", "PFE"), ("AAPL", "MSFT")),
    *(("JNJ", "PG"), ("HD", "BBY"), ("LLY", "UNH"), ("AMD", "GE")),
)
"""The two stocks of each pair, in the order in which pairs are added."""
MAX_DAYS = 60


@dataclass(frozen=True)
class Sample:
    """What was written."""

    files: int
    rows: int
    pairs: tuple[tuple[str, str], ...]
    days: tuple[date, ...]


def generate(
    folder: Path, *, seed: int = 1, days: int = 2, pairs: int = 4, minutes: int = 390
) -> Sample:
    """Write the archives ``<symbol>/YYYYMMDD_{quote,trade}.zip`` into a folder.

    Parameters
    ----------
    days
        The last trading days of the closes, consecutive.
    minutes
        Length of the regular session from 09:30.

    Raises
    ------
    InputError
        A number is out of range, or the folder holds other archives or cannot be written.
    ConfigurationError
        The data file of skfolio is not installed.
    """
    _require("pairs", pairs, len(PAIRS))
    _require("days", days, MAX_DAYS)
    _require("minutes", minutes, 390)
    if seed < 0:
        raise InputError(f"--seed {seed}: use a number from 0 on")
    chosen = PAIRS[:pairs]
    closes = _closes().iloc[-days - 1 :]
    dates = tuple(stamp.date() for stamp in closes.index[1:])
    names = {
        Path(symbol.lower(), f"{day:%Y%m%d}_{kind}.zip")
        for pair in chosen
        for symbol in pair
        for day in dates
        for kind in ("quote", "trade")
    }
    rows = 0
    try:
        _refuse_others(folder, names)
        for symbol, day, quotes, trades in _market(chosen, closes, seed, minutes * 60):
            rows += len(quotes) + len(trades)
            _write(folder, symbol, day, "quote", quotes)
            _write(folder, symbol, day, "trade", trades)
    except OSError as error:
        raise InputError(
            f"{error.filename or folder}: {error.strerror}; choose a folder that can be written"
        ) from None
    return Sample(len(names), rows, chosen, dates)


def _require(name: str, value: int, most: int) -> None:
    if not 1 <= value <= most:
        raise InputError(f"--{name} {value}: use a number from 1 to {most}")


def _closes() -> pd.DataFrame:
    spec = importlib.util.find_spec("skfolio")
    if spec is None or not spec.submodule_search_locations:
        raise ConfigurationError(
            "the sample is built around the closes in the package skfolio, which is missing: "
            "install tsdb-trader[sample]"
        )
    path = Path(spec.submodule_search_locations[0], "datasets", "data", "sp500_dataset.csv.gz")
    if not path.is_file():
        raise ConfigurationError(f"{path} is missing: install skfolio anew")
    return pd.read_csv(path, index_col="Date", parse_dates=["Date"])


def _refuse_others(folder: Path, names: set[Path]) -> None:
    if folder.is_dir():
        for path in sorted(folder.rglob("*.zip")):
            if path.relative_to(folder) not in names:
                raise InputError(f"{folder} holds other archives ({path}): choose another folder")


def _market(
    pairs: tuple[tuple[str, str], ...], closes: pd.DataFrame, seed: int, seconds: int
) -> Iterator[tuple[str, date, Rows, Rows]]:
    for number, pair in enumerate(pairs):
        logs = np.log(closes[list(pair)].to_numpy(dtype=np.float64))
        level = logs.mean(axis=0)
        moves = (logs - level).mean(axis=1)
        for day in range(1, len(closes)):
            stamp = closes.index[day].date()
            # A stream of random numbers per pair and day: adding pairs changes no other file.
            rng = np.random.default_rng([seed, stamp.toordinal(), number])
            common = bridge(rng, float(moves[day - 1]), float(moves[day]), seconds)
            paths = (level[0] + common + mean_reverting(rng, seconds), level[1] + common)
            outages = _outages(seed, stamp, seconds)
            for symbol, path in zip(pair, paths, strict=True):
                yield symbol, stamp, *stock_day(rng, path, outages)


def _outages(seed: int, day: date, seconds: int) -> list[Outage]:
    """Return one silence of the whole feed, somewhere in the middle of the day."""
    rng = np.random.default_rng([seed, day.toordinal()])
    length = min(int(rng.integers(45, 120)), seconds // 20) * 1000
    start = OPEN_MS + int(rng.uniform(0.3, 0.7) * seconds) * 1000
    return [Outage(start, start + length)]


def _write(folder: Path, symbol: str, day: date, kind: str, rows: Rows) -> None:
    table = pa.table({name: pa.array(column) for name, column in rows.columns.items()})
    buffer = io.BytesIO()
    csv.write_csv(table, buffer, csv.WriteOptions(include_header=False, quoting_style="none"))
    path = folder / symbol.lower() / f"{day:%Y%m%d}_{kind}.zip"
    path.parent.mkdir(parents=True, exist_ok=True)
    # A fixed time stamp, or the same rows would make other bytes.
    member = zipfile.ZipInfo(
        f"{day:%Y%m%d}_{symbol.lower()}_{kind.title()}_Tick.csv",
        (day.year, day.month, day.day, 0, 0, 0),
    )
    member.compress_type = zipfile.ZIP_DEFLATED
    partial = path.with_suffix(".partial")
    with zipfile.ZipFile(partial, "w") as archive:
        archive.writestr(member, buffer.getvalue(), compresslevel=4)
    os.replace(partial, path)
