"""Clearing files: what is read, and what is refused with its line."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from tsdb_trader import clearing
from tsdb_trader.errors import InputError

HEADER = "trade_date,exec_id,symbol,side,quantity,price"


def write(folder: Path, *lines: str) -> Path:
    path = folder / "clearing.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_trades_are_read_by_day(tmp_path):
    path = write(
        tmp_path,
        "\ufeff" + HEADER + ",cl_ord_id,account",
        "2013-10-08,E1,IBM,B,100,100.50,C1,main",
        "2013-10-08,E2, BAC ,SS,1.5,14,,main",
        '2013-10-09,E1,IBM,sell,"100",99,C2,main',
    )
    found = clearing.read_trades(path)
    assert list(found) == [date(2013, 10, 8), date(2013, 10, 9)]
    assert found[date(2013, 10, 8)] == [
        {
            "trade_date": "2013-10-08",
            "exec_id": "E1",
            "symbol": "IBM",
            "side": "buy",
            "last_qty": "100",
            "last_px": "100.50",
            "cl_ord_id": "C1",
        },
        {
            "trade_date": "2013-10-08",
            "exec_id": "E2",
            "symbol": "BAC",
            "side": "sell_short",
            "last_qty": "1.5",
            "last_px": "14",
        },
    ]


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("08.10.2013,E1,IBM,B,1,1", "line 2: trade_date '08.10.2013' is no date"),
        ("2013-10-08,E1,IBM,long,1,1", "line 2: side 'long'"),
        ("2013-10-08,E1,IBM,B,0,1", "line 2: quantity '0' is not positive"),
        ("2013-10-08,E1,IBM,B,1,-1", "line 2: price '-1' is not positive"),
        ("2013-10-08,E1,IBM,B,NaN,1", "line 2: quantity 'NaN' is no number"),
        ("2013-10-08,E1,IBM,B,many,1", "line 2: quantity 'many' is no number"),
        ("2013-10-08,,IBM,B,1,1", "line 2: exec_id and symbol must not be empty"),
        ("2013-10-08,E1,IBM,B,1", "line 2 has not 6 fields"),
        ("2013-10-08,E1,IBM,B,1,1,more", "line 2 has not 6 fields"),
        ('2013-10-08,"E1,IBM,B,1,1', "cannot be read"),
    ],
)
def test_unusable_trade_is_refused_with_its_line(tmp_path, line, says):
    with pytest.raises(InputError, match=says):
        clearing.read_trades(write(tmp_path, HEADER, line))


def test_trade_named_twice_on_a_day_is_refused(tmp_path):
    line = "2013-10-08,E1,IBM,B,1,1"
    with pytest.raises(InputError, match="line 3: exec_id E1 stands in line 2 already"):
        clearing.read_trades(write(tmp_path, HEADER, line, line))


@pytest.mark.parametrize("header", ["", "exec_id,symbol", HEADER + ",color", HEADER + ",price"])
def test_other_header_is_refused_with_the_right_one(tmp_path, header):
    with pytest.raises(InputError, match="the header has to be trade_date,exec_id"):
        clearing.read_trades(write(tmp_path, header))


def test_missing_or_binary_file_is_one_error(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        clearing.read_trades(tmp_path / "none.csv")
    (tmp_path / "b.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="cannot be read"):
        clearing.read_positions(tmp_path / "b.csv")


def test_positions_are_read_signed(tmp_path):
    path = write(tmp_path, "account,symbol,quantity", "main,IBM,-1E2", "main,BAC,0.5")
    assert clearing.read_positions(path) == [
        {"account": "main", "symbol": "IBM", "quantity": "-100"},
        {"account": "main", "symbol": "BAC", "quantity": "0.5"},
    ]


@pytest.mark.parametrize("line", ["main,IBM,Infinity", "main,IBM,x", ",IBM,1", "main,,1"])
def test_unusable_position_is_refused(tmp_path, line):
    with pytest.raises(InputError, match="line 2"):
        clearing.read_positions(write(tmp_path, "account,symbol,quantity", line))
