"""DBN files for tests, encoded by Databento's library and not by us."""

from __future__ import annotations

import gzip
import io
from collections.abc import Iterable
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import databento_dbn as dbn
import pyarrow as pa

from tsdb_trader.feeds.base import Block, Options, Rules
from tsdb_trader.feeds.dbn import DbnFormat

T0 = 1_709_562_600_000_000_123
"""2024-03-04 14:30:00.000000123."""
PRICE = 10**9
HEADER = {"publisher_id": 1, "instrument_id": 7, "ts_event": T0}


def metadata(
    schema: dbn.Schema | None = dbn.Schema.MBO,
    symbols: dict[str, list[tuple[date, date, str]]] | None = None,
    **changes: Any,
) -> bytes:
    """Return metadata; by default instrument 7 is ESH4 and 8 is ESM4 in all of 2024."""
    year = date(2024, 1, 1), date(2025, 1, 1)
    symbols = {"ESH4": [(*year, "7")], "ESM4": [(*year, "8")]} if symbols is None else symbols
    mappings = [
        SimpleNamespace(
            raw_symbol=name,
            intervals=[
                SimpleNamespace(start_date=first, end_date=last, symbol=symbol)
                for first, last, symbol in intervals
            ],
        )
        for name, intervals in symbols.items()
    ]
    settings = {
        "dataset": "GLBX.MDP3",
        "start": T0,
        "end": T0 + 10**12,
        "stype_in": dbn.SType.RAW_SYMBOL,
        "stype_out": dbn.SType.INSTRUMENT_ID,
        "schema": schema,
        "symbols": list(symbols),
        "mappings": mappings,
    }
    return bytes(dbn.Metadata(**(settings | changes)))


def mbo(number: int = 0, **changes: Any) -> dbn.MBOMsg:
    """Return an add of two at 4,799.25, `number` microseconds after `T0`."""
    settings = HEADER | {
        "ts_event": T0 + 1000 * number,
        "order_id": 100 + number,
        "price": 4_799_250_000_000,
        "size": 2,
        "action": dbn.Action.ADD,
        "side": dbn.Side.BID,
        "ts_recv": T0 + 1000 * number + 250_000,
        "flags": dbn.F_LAST,
    }
    return dbn.MBOMsg(**(settings | changes))


def trade(**changes: Any) -> dbn.TradeMsg:
    """Return a trade."""
    settings = HEADER | {
        "price": 5 * PRICE,
        "size": 3,
        "action": dbn.Action.TRADE,
        "side": dbn.Side.ASK,
        "depth": 0,
        "ts_recv": T0 + 9_000,
    }
    return dbn.TradeMsg(**(settings | changes))


def level(**changes: Any) -> dbn.BidAskPair:
    """Return both sides of a quote."""
    settings = {
        "bid_px": 5 * PRICE,
        "ask_px": 5 * PRICE + PRICE // 4,
        "bid_sz": 10,
        "ask_sz": 20,
        "bid_ct": 1,
        "ask_ct": 2,
    }
    return dbn.BidAskPair(**(settings | changes))


def mbp1(**changes: Any) -> dbn.MBP1Msg:
    """Return a change of the best bid."""
    settings = HEADER | {
        "price": 5 * PRICE,
        "size": 10,
        "action": dbn.Action.ADD,
        "side": dbn.Side.BID,
        "depth": 0,
        "ts_recv": T0 + 9_000,
        "levels": level(),
    }
    return dbn.MBP1Msg(**(settings | changes))


def bbo(**changes: Any) -> dbn.BBOMsg:
    """Return the best bid and offer at the end of a second."""
    settings = HEADER | {
        "rtype": 195,
        "price": 5 * PRICE,
        "size": 1,
        "side": dbn.Side.BID,
        "ts_recv": T0 + 10**9,
        "levels": level(),
    }
    return dbn.BBOMsg(**(settings | changes))


def bar(rtype: int = 33, **changes: Any) -> dbn.OHLCVMsg:
    """Return a bar of a minute."""
    prices = {"open": 5 * PRICE, "high": 7 * PRICE, "low": 4 * PRICE, "close": 6 * PRICE}
    return dbn.OHLCVMsg(**(HEADER | {"rtype": rtype, "volume": 99} | prices | changes))


def status(**changes: Any) -> dbn.StatusMsg:
    """Return the start of trading."""
    settings = {"ts_recv": T0 + 5, "action": dbn.StatusAction.TRADING}
    return dbn.StatusMsg(**(HEADER | settings | changes))


def definition(**changes: Any) -> dbn.InstrumentDefMsg:
    """Return the definition of ESH4."""
    settings = HEADER | {
        "ts_recv": T0 + 5,
        "min_price_increment": PRICE // 4,
        "display_factor": PRICE // 100,
        "raw_symbol": "ESH4",
        "asset": "ES",
        "security_type": "FUT",
        "instrument_class": dbn.InstrumentClass.FUTURE,
        "security_update_action": dbn.SecurityUpdateAction.ADD,
        "currency": "USD",
    }
    return dbn.InstrumentDefMsg(**(settings | changes))


def mapping(**changes: Any) -> dbn.SymbolMappingMsg:
    """Return what a live session says about ESH4."""
    settings = HEADER | {
        "stype_in": dbn.SType.RAW_SYMBOL,
        "stype_in_symbol": "ESH4",
        "stype_out": dbn.SType.RAW_SYMBOL,
        "stype_out_symbol": "ESH4",
        "start_ts": T0,
        "end_ts": T0 + 10**12,
    }
    return dbn.SymbolMappingMsg(**(settings | changes))


def file_bytes(records: Iterable[Any], header: bytes | None = None) -> bytes:
    """Return an uncompressed file."""
    return (metadata() if header is None else header) + b"".join(bytes(r) for r in records)


def write(path: Path, content: bytes) -> Path:
    """Write a file, packed as its name says."""
    if path.suffix == ".zst":
        content = pa.compress(content, codec="zstd", asbytes=True)
    elif path.suffix == ".gz":
        content = gzip.compress(content)
    path.write_bytes(content)
    return path


def decode(content: bytes, folder: Path, rules: Rules | None = None) -> list[Block]:
    """Decode a file's bytes as a load would, and check every block's counts."""
    path = write(folder / "test.dbn", content)
    reader = DbnFormat(Options())
    [file] = reader.discover([path])
    blocks = list(reader.decode(file, io.BytesIO(content), rules or Rules()))
    for block in blocks:
        block.check()
    return blocks
