"""Format taq: raw quotes and trades of the NYSE's Trade and Quote database, one line each.

Quotes: DT,EX,BID,BIDSIZ,OFR,OFRSIZ,SYMBOL. A price of 0 means that the exchange quotes nothing on
that side. Sizes count round lots, taken as 100 shares (Monthly TAQ User Guide, table 7).

Trades: DT,EX,SYMBOL,COND,SIZE,PRICE,CORR. Sizes are shares. CORR says what became of a trade: 0 it
stands, 1 it is the corrected form of one that was wrong, 2 it is out of sequence but stands; 7 and
8 it was cancelled, as an error or otherwise; 10, 11, 12 the record of a cancel, an error, a
correction, which is no trade of its own. The last five do not count and are flagged as cancelled.

DT is a time in UTC unless --timezone names another zone: files with this column come from the R
package highfrequency, whose opening auctions are at 14:30. The NYSE's own are in New York time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from tsdb_trader.errors import InputError
from tsdb_trader.feeds.base import Block, DataFile, Options, Rules
from tsdb_trader.feeds.csv_format import decode_text, find_text
from tsdb_trader.feeds.csv_table import header_names
from tsdb_trader.feeds.files import open_plain, reading
from tsdb_trader.feeds.mapping import Flag, Layout, Mapping, Number, Output, Time, Words
from tsdb_trader.feeds.mapping_file import check_zone

ROUND_LOT = 100
UNDONE = frozenset({"7", "8", "10", "11", "12", "07", "08"})
_QUOTES = {"DT", "EX", "BID", "BIDSIZ", "OFR", "OFRSIZ", "SYMBOL"}
_TRADES = {"DT", "EX", "SYMBOL", "COND", "SIZE", "PRICE", "CORR"}


class TaqFormat:
    """Reads raw TAQ files."""

    name = "taq"

    def __init__(self, options: Options | None = None) -> None:
        zone = (options and options.timezone) or "UTC"
        check_zone(zone, InputError(f"--timezone {zone}: no IANA zone such as America/New_York"))
        time, symbol, exchange = Time(("DT",), zone=zone), Words("SYMBOL"), Words("EX")
        self._quotes = Mapping(
            outputs=[
                Output(
                    "quotes",
                    {
                        "bid_price": Number("BID"),
                        "bid_size": Number("BIDSIZ", factor=ROUND_LOT),
                        "ask_price": Number("OFR"),
                        "ask_size": Number("OFRSIZ", factor=ROUND_LOT),
                    },
                    {"exchange": exchange},
                )
            ],
            time=time,
            symbol=symbol,
            zero_is_null=True,
        )
        self._trades = Mapping(
            outputs=[
                Output(
                    "trades",
                    {"price": Number("PRICE"), "size": Number("SIZE")},
                    {"exchange": exchange, "conditions": Words("COND")},
                )
            ],
            time=time,
            symbol=symbol,
            vocabulary="taq",
            cancelled=Flag("CORR", UNDONE),
        )

    def discover(self, paths: Iterable[Path]) -> list[DataFile]:
        """Find files in folders, and tell by their header whether they hold quotes or trades.

        Raises
        ------
        InputError
            A path cannot be read, or is neither.
        """
        return [_identify(path) for path in find_text(paths)]

    def open(self, file: DataFile) -> BinaryIO:
        """Return the content."""
        return open_plain(file.path)

    def decode(self, file: DataFile, content: BinaryIO, rules: Rules) -> Iterator[Block]:
        """Turn the rows into blocks.

        Raises
        ------
        InputError
            The file is damaged or has no rows.
        """
        mapping = self._trades if file.vocabulary else self._quotes
        yield from decode_text(file, content, mapping, rules)


def _identify(path: Path) -> DataFile:
    with reading(path), open_plain(path) as content:
        header = content.read(4096).partition(b"\n")[0]
    names = set(header_names(str(path), header, Layout()))
    if names >= _QUOTES:
        return DataFile(path, f"{path.name}/quotes", by_name=True)
    if names >= _TRADES:
        return DataFile(path, f"{path.name}/trades", vocabulary="taq", by_name=True)
    raise InputError(
        f"{path}: neither quotes (DT,EX,BID,BIDSIZ,OFR,OFRSIZ,SYMBOL) nor trades "
        "(DT,EX,SYMBOL,COND,SIZE,PRICE,CORR) by its first line"
    )
