"""What a row of each kind must be, whatever file it is from."""

from __future__ import annotations

from collections.abc import Mapping as Dict
from collections.abc import Sequence

import numpy as np

from tsdb_trader.feeds import row_checks
from tsdb_trader.feeds.base import NULL, Integers, Kind, Rules, Text
from tsdb_trader.feeds.mapping import Mapping, Output
from tsdb_trader.feeds.row_checks import Checks, Mask

_ALLOWED: Dict[str, frozenset[str]] = {
    "action": frozenset({"add", "modify", "reduce", "execute", "delete", "replace", "clear"}),
    "book_side": frozenset({"bid", "ask", ""}),
    "bar_side": frozenset({"trade", "bid", "ask"}),
}
_BAR = ("open", "high", "low", "close")


def check(
    checks: Checks,
    mapping: Mapping,
    outputs: Sequence[tuple[Output, dict[str, Integers]]],
    rules: Rules,
) -> None:
    """Reject rows with values that cannot be right; zeros that mean nothing become `NULL`."""
    for output, numbers in outputs:
        if output.kind == "quotes":
            _quotes(checks, mapping, numbers, rules)
        elif output.kind == "trades":
            checks.reject("missing_value", (numbers["price"] == NULL) | (numbers["size"] == NULL))
            _side(checks, numbers["price"], numbers["size"])
        elif output.kind == "bars":
            _bars(checks, mapping, numbers, rules)
        else:
            for name, reason in (("price", "negative_price"), ("size", "negative_size")):
                if name in numbers:
                    checks.reject(reason, (numbers[name] < 0) & (numbers[name] != NULL))
    nothing = ~np.any([there(mapping, o, n) for o, n in outputs], axis=0) if outputs else None
    if nothing is not None:
        checks.reject("missing_value", np.asarray(nothing))


def there(mapping: Mapping, output: Output, numbers: Dict[str, Integers]) -> Mask:
    """Mark the rows in which an output has any value at all."""
    rows = len(next(iter(numbers.values())))
    if output.kind == "book_events" or (output.kind == "quotes" and mapping.zero_is_null):
        return np.ones(rows, dtype=np.bool_)
    wanted = _BAR if output.kind == "bars" else ("bid_price", "ask_price", "price")
    found = np.zeros(rows, dtype=np.bool_)
    for name in wanted:
        if name in numbers:
            found |= numbers[name] != NULL
    return found


def check_texts(checks: Checks, kind: Kind, texts: Dict[str, Text]) -> None:
    """Reject rows with texts that their column does not know."""
    rules = {
        "book_events": (("action", "action"), ("side", "book_side")),
        "bars": (("side", "bar_side"),),
    }
    for name, allowed in rules.get(kind, ()):
        known = np.array([value in _ALLOWED[allowed] for value in texts[name].values], np.bool_)
        checks.reject("malformed", ~known[texts[name].codes])


def _quotes(checks: Checks, mapping: Mapping, numbers: dict[str, Integers], rules: Rules) -> None:
    for side in ("bid", "ask"):
        price, size = numbers.get(f"{side}_price"), numbers.get(f"{side}_size")
        if price is None:
            continue
        if mapping.zero_is_null:
            empty = price == 0
            price[empty] = NULL
            if size is not None:
                size[empty & (size == 0)] = NULL
        _side(checks, price, size)
    if "bid_price" in numbers and "ask_price" in numbers:
        scale = mapping.definition.price_scale
        wrong = row_checks.crossed(numbers["bid_price"], numbers["ask_price"], scale, rules)
        checks.reject("crossed", wrong)


def _side(checks: Checks, price: Integers, size: Integers | None) -> None:
    there = price != NULL
    checks.reject("negative_price", there & (price < 0))
    if size is not None:
        sized = size != NULL
        checks.reject("negative_size", sized & (size < 0))
        checks.reject("zero_price", (price == 0) | (~there & sized & (size > 0)))
        checks.reject("zero_size", there & (size == 0))
    checks.reject("zero_price", price == 0)


def _bars(checks: Checks, mapping: Mapping, numbers: dict[str, Integers], rules: Rules) -> None:
    if mapping.zero_is_null:
        for name in _BAR:
            if name in numbers:
                numbers[name][numbers[name] == 0] = NULL
    for name in _BAR:
        if name in numbers:
            checks.reject("negative_price", (numbers[name] < 0) & (numbers[name] != NULL))
            checks.reject("zero_price", numbers[name] == 0)
    if "volume" in numbers:
        volume = numbers["volume"]
        checks.reject("negative_size", (volume < 0) & (volume != NULL))
    checks.reject("bad_bar", bad_bar(numbers, rules))


def bad_bar(numbers: Dict[str, Integers], rules: Rules) -> Mask:
    """Mark bars whose high is below the low, or whose open or close lies outside of them.

    Beyond `Rules.bar_relative` of the close (of the low, where there is none), that is.
    """
    rows = len(next(iter(numbers.values())))
    wrong = np.zeros(rows, dtype=np.bool_)
    close = numbers.get("close")
    for upper, lower in (
        ("high", "low"),
        ("high", "open"),
        ("high", "close"),
        ("open", "low"),
        ("close", "low"),
    ):
        if upper not in numbers or lower not in numbers:
            continue
        above, below = numbers[upper], numbers[lower]
        known = (above != NULL) & (below != NULL)
        excess = np.where(known, below - np.where(known, above, 0), 0)
        of = below if close is None else np.where(close == NULL, below, close)
        wrong |= known & (excess > rules.bar_relative * of)
    return wrong
