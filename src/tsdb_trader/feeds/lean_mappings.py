"""What the columns of Lean's archives of bars and of currencies mean."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

from tsdb_trader.feeds.base import Definition
from tsdb_trader.feeds.mapping import Layout, Mapping, Number, Output, Time, Words

_PRICES = ("open", "high", "low", "close")
_DECIMALS = 4
_BROKER_ZONES = {"FXCM": "Etc/GMT+5"}
"""Clocks of brokers that are not UTC. FXCM's is UTC-5 all year, as Lean's own table of market hours
has it: its archives end on Fridays at 16:00 in May, when the market closes at 21:00 UTC."""


def bars(what: str, resolution: str) -> Mapping:
    """Return the columns of bars of US equities, ``trade`` or ``quote``.

    A row of quotes is a bar of bids and one of asks; a side without any price is left out.
    """
    sides = ("trade",) if what == "trade" else ("bid", "ask")
    names, outputs = ["ms"], []
    for side in sides:
        numbers = {name: Number(f"{side} {name}", _DECIMALS) for name in _PRICES}
        numbers["volume"] = Number(f"{side} size")
        names += [number.column for number in numbers.values()]
        texts = {"resolution": Words(constant=resolution), "side": Words(constant=side)}
        outputs.append(Output("bars", numbers, texts))
    return Mapping(
        outputs=outputs,
        time=Time(("ms",), "ms", "America/New_York"),
        layout=Layout(names=tuple(names), quote=""),
        zero_is_null=what == "quote",
    )


def currency_ticks(broker: str, pair: str, zone: str | None = None) -> Mapping:
    """Return the columns of a broker's quotes of a currency pair, which have no sizes."""
    return Mapping(
        outputs=[
            Output(
                "quotes",
                {"bid_price": Number("bid"), "ask_price": Number("ask")},
                {"exchange": Words(constant=broker)},
            )
        ],
        time=Time(("ms",), "ms", zone or _BROKER_ZONES.get(broker, "UTC")),
        layout=Layout(names=("ms", "bid", "ask"), quote=""),
        definition=Definition("fx", pair[3:], price_scale=5),
    )


def on(mapping: Mapping, day: date) -> Mapping:
    """Return the mapping for times of a day."""
    return replace(mapping, time=replace(mapping.time, day=day))
