"""LEAN's factor files and map files (QuantConnect): splits, dividends and symbols.

A map file is named after the instrument; its rows (date, symbol, exchange) say until which day the
instrument had a symbol, the first row since when. A factor file's rows (date, price factor, split
factor, reference price) hold up to and including their date; the price factor is the product of
``1 - dividend / reference price`` of everything after it, the split factor that of old shares per
new share, and the reference price is the close of its date.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from pathlib import Path

from tsdb_trader.errors import InputError
from tsdb_trader.refdata.calendars import next_session

VENUES = {"N": "XNYS", "Q": "XNAS", "P": "ARCX", "A": "XASE", "Z": "BATS", "V": "IEXG"}
"""LEAN's letters of exchanges, as far as its map files of US equities use them."""

# Later than any day in the files that is one: they write 2050-12-31 for "until now".
_OPEN_END = date(2050, 1, 1)
_EXCHANGE = "XNYS"
# A split that somebody decided on, 7:1 or 3:2 or 1:20: else the ratio is left as it is printed.
_SMALL, _LARGE = 10, 1000
# Factors and prices are within these.
_TINY, _HUGE, _DECIMALS = Decimal("1e-12"), Decimal("1e12"), 20


@dataclass(frozen=True)
class Claim:
    """An instrument's symbol from `valid_from` to before `valid_to` (None: until now)."""

    symbol: str
    venue: str | None
    valid_from: date
    valid_to: date | None


@dataclass(frozen=True)
class FactorRow:
    """A row of a factor file, numbers as printed."""

    day: date
    price_factor: Decimal
    split_factor: Decimal
    reference_price: Decimal


@dataclass(frozen=True)
class Split:
    """`new_shares` for `old_shares`."""

    ex_date: date
    new_shares: Decimal
    old_shares: Decimal


@dataclass(frozen=True)
class Dividend:
    """Cash per share; spun-off shares are in the files as if they were cash."""

    ex_date: date
    amount: Decimal


def instrument_name(path: Path) -> str:
    """Return what a file calls its instrument: AAA.1 for aaa.1.csv."""
    return path.name.removesuffix(".csv").upper()


def _rows(path: Path, fields: tuple[int, ...]) -> Iterator[tuple[str, date, list[str]]]:
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read {path}: {error}") from None
    last = date.min
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        where = f"{path}, row {number}"
        first, *values = [field.strip() for field in line.split(",")]
        try:
            if len(first) != 8 or not first.isascii() or not first.isdigit():
                raise ValueError
            day = date(int(first[:4]), int(first[4:6]), int(first[6:]))
        except ValueError:
            raise InputError(f"{where}: {first!r} is no date, such as 20140606") from None
        if len(values) not in fields:
            raise InputError(f"{where}: {len(values) + 1} fields")
        if day < last:
            raise InputError(f"{where}: {day} comes after {last}")
        last = day
        yield where, day, values
    if last == date.min:
        raise InputError(f"{path} is empty")


def read_map_file(path: Path) -> list[Claim]:
    """Return the symbols an instrument had, in turn.

    Raises
    ------
    InputError
        The file cannot be read; the message names the row.
    """
    claims: list[Claim] = []
    since: date | None = None
    for where, day, (symbol, *letters) in _rows(path, (1, 2)):
        letter = letters[0] if letters else ""
        if letter and letter not in VENUES:
            raise InputError(f"{where}: unknown exchange {letter!r}: there is {', '.join(VENUES)}")
        if since is None:
            since = day
            continue
        if day < since or not symbol:
            raise InputError(f"{where}: the symbol {symbol!r} has no day of its own")
        end = None if day >= _OPEN_END else day + timedelta(days=1)
        claims.append(Claim(symbol.upper(), VENUES.get(letter), since, end))
        since = end or date.max
    if not claims:
        raise InputError(f"{path} has one row: since when, and no symbol with its last day")
    return claims


def _positive(text: str, where: str, zero: bool = False) -> Decimal:
    try:
        value = Decimal(text)
    except InvalidOperation:
        value = Decimal(-1)
    usable = value.is_finite() and (0 if zero else _TINY) <= value < _HUGE
    if not usable or -int(value.as_tuple().exponent) > _DECIMALS:
        raise InputError(f"{where}: {text!r} is no positive number of usual size")
    return value


def read_factor_file(path: Path) -> list[FactorRow]:
    """Return the rows of a factor file, oldest first.

    Raises
    ------
    InputError
        The file cannot be read; the message names the row.
    """
    return [
        FactorRow(
            day,
            _positive(values[0], where),
            _positive(values[1], where),
            # Old files have none, and the last row, in the far future, has zero.
            _positive(values[2], where, zero=True) if len(values) == 3 else Decimal(0),
        )
        for where, day, values in _rows(path, (2, 3))
    ]


def derive_actions(path: Path, rows: list[FactorRow]) -> tuple[list[Split], list[Dividend]]:
    """Return what happened on the session after each row whose factors differ from the next one's.

    Raises
    ------
    InputError
        A dividend cannot be computed: no reference price, or a factor that falls with time.
    """
    splits, dividends = [], []
    for row, following in itertools.pairwise(rows):
        if (
            row.price_factor == following.price_factor
            and row.split_factor == following.split_factor
        ):
            continue
        ex_date = next_session(_EXCHANGE, row.day)
        if row.split_factor != following.split_factor:
            splits.append(_split(ex_date, row.split_factor, following.split_factor))
        if row.price_factor != following.price_factor:
            amount = row.reference_price * (1 - row.price_factor / following.price_factor)
            if amount <= 0:
                raise InputError(
                    f"{path}, {row.day}: no dividend explains the price factors "
                    f"{row.price_factor} and {following.price_factor} at {row.reference_price}"
                )
            # Ten decimals lose nothing of factors printed with seven; cents would.
            dividends.append(Dividend(ex_date, amount.quantize(Decimal("1e-10"))))
    return splits, dividends


def _split(ex_date: date, before: Decimal, after: Decimal) -> Split:
    """Return the split between two printed split factors.

    The files print 0.0357143 and 0.25 for 7 shares for 1: the simplest fraction within the printed
    precision is taken where it is simple; else the factors themselves are, as printed.
    """
    low, high = _printed_range(before)
    after_low, after_high = _printed_range(after)
    simple = simplest_fraction(low / after_high, high / after_low)
    small, large = sorted((simple.numerator, simple.denominator))
    if small <= _SMALL and large <= _LARGE:
        return Split(ex_date, Decimal(simple.denominator), Decimal(simple.numerator))
    return Split(ex_date, after, before)


def _printed_range(value: Decimal) -> tuple[Fraction, Fraction]:
    """Return the numbers that are printed like this; zeros at the end may be mere padding."""
    exponent = value.normalize().as_tuple().exponent
    decimals = -exponent if isinstance(exponent, int) and exponent < 0 else 0
    # A whole number stands for itself.
    half = Fraction(1, 2 * 10**decimals) if decimals else Fraction(0)
    return Fraction(value) - half, Fraction(value) + half


def simplest_fraction(low: Fraction, high: Fraction) -> Fraction:
    """Return the fraction with the smallest denominator in low..high (0 < low), by Stern-Brocot."""
    whole = low.numerator // low.denominator
    if low == whole:
        return Fraction(whole)
    if whole + 1 <= high:
        return Fraction(whole + 1)
    return whole + 1 / simplest_fraction(1 / (high - whole), 1 / (low - whole))
