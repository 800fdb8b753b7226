"""What trades count for: rules as rows, checked with the minute bars that came with the ticks."""

from __future__ import annotations

import io
import zipfile
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import psycopg
import pytest

from lean_files import archive
from rollup_checks import differences, is_native, stop_policies
from tsdb_trader.api import market, rollups
from tsdb_trader.errors import UnknownObjectError
from tsdb_trader.feeds import loader

NOT_LAST, NOT_HIGH_LOW, NOT_VOLUME = 16, 32, 64
VOLUME_ONLY = NOT_LAST | NOT_HIGH_LOW
NOTHING = VOLUME_ONLY | NOT_VOLUME


# Rules


RULES = [
    ("algoseek", "1", 0),
    ("algoseek", "0", 0),
    ("algoseek", "", 0),
    ("algoseek", "20", VOLUME_ONLY),  # a sweep
    ("algoseek", "20000020", VOLUME_ONLY),  # an exempt sweep
    ("algoseek", "20002020", 0),  # the same in extended hours
    ("algoseek", "2000", 0),
    ("algoseek", "20100200", VOLUME_ONLY),  # an average price
    ("algoseek", "1000000", NOTHING),  # the official close
    ("algoseek", "1000001", NOT_VOLUME),
    ("algoseek", "80", 0),
    ("algoseek_tape", "20", 0),
    ("algoseek_tape", "2000", VOLUME_ONLY),
    ("algoseek_tape", "20100200", VOLUME_ONLY),
    ("algoseek_tape", "20000200", NOT_LAST),  # derivatively priced
    ("algoseek_tape", "20000002", VOLUME_ONLY),  # cash
    ("taq", "", 0),
    ("taq", "@", 0),
    ("taq", "@  I", VOLUME_ONLY),
    ("taq", "E", 0),
    ("taq", "Z", NOT_LAST),
    ("taq", "@F I", VOLUME_ONLY),
    ("taq", "Q", NOTHING),
    ("utp", "@ B", 0),
    ("taq", "B", VOLUME_ONLY),
    ("itch", "N", NOTHING),
    ("itch", "O", 0),
    ("itch", "E", 0),
    ("itch", "P", 0),
]


def test_condition_flags_of_a_text_follow_the_rules(conn):
    found = [(v, text, *rollups.condition_flags(conn, v, [text])) for v, text, _ in RULES]
    assert found == RULES


def test_condition_flags_keep_the_order_of_many_texts(conn):
    texts = ["20", "1", "", "1000000", "20", "2000"]
    assert rollups.condition_flags(conn, "algoseek", texts) == [48, 0, 0, 112, 48, 0]
    assert rollups.condition_flags(conn, "algoseek", []) == []


def test_condition_flags_unknown_code_counts_as_regular_and_is_noted(conn):
    unknown = {
        "algoseek": ["40000000", "no mask", "12345678901234567"],
        "taq": ["~"],
    }
    for _ in range(2):
        for vocabulary, texts in unknown.items():
            assert set(rollups.condition_flags(conn, vocabulary, texts)) == {0}
    # A known code beside an unknown one still says what it says, if all of them have to agree.
    assert rollups.condition_flags(conn, "taq", ["~I"]) == [VOLUME_ONLY]
    noted = conn.execute(
        "select vocabulary, code from ref.trade_conditions where not known"
    ).fetchall()
    assert set(noted) == {(v, code) for v, codes in unknown.items() for code in codes}


def test_condition_flags_of_an_unknown_vocabulary_are_refused(conn):
    with pytest.raises(UnknownObjectError, match="klingon"):
        rollups.condition_flags(conn, "klingon", ["1"])


# Stored trades

ROWS = (
    "34200000,1000000,100,D,1,0\n"
    "34200001,1000500,100,D,20,0\n"
    "34200002,1000900,100,Q,4000000,0\n"
    "34200003,1000100,100,D,20000200,0\n"
)


@pytest.fixture
def trades(conn: psycopg.Connection, tmp_path: Path) -> psycopg.Connection:
    if is_native(conn):
        stop_policies(conn)
    loader.load(conn, "lean", [archive(tmp_path, ROWS, "trade")])
    market.refresh_rollups(conn)
    return conn


def flags(conn: psycopg.Connection) -> list[int]:
    rows = conn.execute("select flags from market._trades order by seq").fetchall()
    return [flag for (flag,) in rows]


def bar(conn: psycopg.Connection) -> tuple[float, ...]:
    row = conn.execute("select open, high, low, close, volume from market.bars_1m").fetchone()
    assert row is not None
    return row


def test_load_sets_what_each_trade_does_not_count_for(trades):
    assert flags(trades) == [0, VOLUME_ONLY, NOTHING, VOLUME_ONLY]
    assert bar(trades) == (100.0, 100.0, 100.0, 100.0, 300.0)


def test_apply_trade_conditions_changed_rule_changes_trades_and_bars(trades):
    trades.execute(
        "update ref.trade_conditions set updates_high_low = true"
        " where vocabulary = 'algoseek' and code = '20'"
    )
    assert rollups.apply_trade_conditions(trades, "lean", "algoseek") == 1
    assert rollups.apply_trade_conditions(trades, "lean", "algoseek") == 0
    market.refresh_rollups(trades)
    assert bar(trades) == (100.0, 100.05, 100.0, 100.0, 300.0)
    assert differences(trades) == []


def test_apply_trade_conditions_other_vocabulary_is_the_tape(trades):
    assert rollups.apply_trade_conditions(trades, "lean", "algoseek_tape") == 2
    market.refresh_rollups(trades)
    assert bar(trades) == (100.0, 100.05, 100.0, 100.05, 300.0)


def test_apply_trade_conditions_outside_the_span_changes_nothing(trades):
    start = datetime(2013, 10, 7, 13, 30, tzinfo=UTC)
    assert (
        rollups.apply_trade_conditions(
            trades, "lean", "algoseek_tape", start - timedelta(days=1), start
        )
        == 0
    )


def test_apply_trade_conditions_keeps_other_flags(trades):
    trades.execute("update market._trades set flags = flags | 132 where seq = 1")
    rollups.apply_trade_conditions(trades, "lean", "algoseek_tape")
    assert flags(trades) == [0, 132, NOTHING, NOT_LAST]


def test_apply_trade_conditions_unknown_feed_is_refused(trades):
    with pytest.raises(UnknownObjectError, match="nowhere"):
        rollups.apply_trade_conditions(trades, "nowhere", "algoseek")


def test_rules_are_changed_by_operators_only(connect_as):
    for role, allowed in (("operator", True), ("worker", False), ("quant", False)):
        caller = connect_as(role)
        statement = "update ref.trade_conditions set description = 'x' where code = '@'"
        if allowed:
            caller.execute(statement)
        else:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                caller.execute(statement)


# The archive's own minute bars

# How the vendor's bars treat auctions, which no flag of a trade can say: the primary market's opening
# sets the open of its minute; openings after 09:30 are in no bar; the closing of the primary market,
# printed after 16:00, is in the bar of 15:59; so the bars of 09:30 to 09:31 and 15:59 to 16:01 differ.
AUCTIONS = {
    *((9, 30), (9, 31), (15, 59), (16, 0), (16, 1)),
}


def vendor_bars(path: Path) -> pd.DataFrame:
    """Return the vendor's bars by the minute's start in UTC, prices and volume as stored."""
    with zipfile.ZipFile(path) as packed:
        text = packed.read(packed.namelist()[0])
    columns = ["ms", "open", "high", "low", "close", "volume"]
    found = pd.read_csv(io.BytesIO(text), header=None, names=columns)
    midnight = pd.Timestamp(path.name[:8], tz="America/New_York")
    found.index = (midnight + pd.to_timedelta(found.pop("ms"), unit="ms")).dt.tz_convert("UTC")
    return found


@pytest.mark.needs_data
@pytest.mark.parametrize("symbol", ["aig", "bac", "ibm", "spy"])
def test_bars_of_recorded_trades_agree_with_the_vendors(conn, data_folder, symbol):
    ticks = sorted((data_folder / "us_equity_ticks" / symbol).glob("*_trade.zip"))
    loader.load(conn, "lean", ticks)
    market.refresh_rollups(conn)
    rows = conn.execute(
        """select bucket, open * 10000, high * 10000, low * 10000, close * 10000, volume
           from market.bars_1m order by bucket"""
    ).fetchall()
    names = ["open", "high", "low", "close", "volume"]
    ours = pd.DataFrame(rows, columns=["bucket", *names]).set_index("bucket")
    folder = data_folder / "us_equity_minute" / symbol
    theirs = pd.concat([vendor_bars(folder / path.name) for path in ticks])
    minutes = ours.index.union(theirs.index)
    mine, vendors = ours.astype(float).reindex(minutes), theirs.astype(float).reindex(minutes)
    equal = np.isclose(mine, vendors, equal_nan=True)
    why: Counter[str] = Counter()
    for minute in np.flatnonzero(~equal.all(axis=1)):
        columns = "+".join(np.array(names)[~equal[minute]])
        why[f"{reason(minutes, minute, mine, vendors)}: {columns}"] += 1
    share = equal.all(axis=1).mean()
    print(f"{symbol}: {share:.2%} of {len(minutes)} minutes are equal,", dict(why))
    assert share > 0.985
    assert sum(count for text, count in why.items() if text.startswith("other")) <= 2


def reason(
    minutes: pd.DatetimeIndex, minute: int, mine: pd.DataFrame, vendors: pd.DataFrame
) -> str:
    """Name why a minute differs."""
    local = minutes[minute].tz_convert("America/New_York")
    if (local.hour, local.minute) in AUCTIONS:
        return "auction"
    # Where no trade sets a price, the vendor has no bar and adds the volume to the bar before.
    if mine.open.isna().iloc[[minute, min(minute + 1, len(mine) - 1)]].any():
        return "no price"
    return "other"
