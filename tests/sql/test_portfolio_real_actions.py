"""Positions through a real split and real dividends, from recorded factor files, against hand figures."""

from __future__ import annotations

import shutil
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest

from portfolio_books import Books, books
from tsdb_trader.refdata import upload

D = Decimal


@pytest.fixture
def apple(conn: psycopg.Connection, data_folder: Path, tmp_path: Path) -> Books:
    """Return books that bought Apple before its split of 7 for 1 on 2014-06-09, and sold after it.

    100 at 600 and 30 at 640 cost 79,200 and become 700 and 210 shares; 400 are sold at 94. The
    dividend of 0.47 on 2014-08-07 is paid on the 510 that are left.
    """
    source = data_folder / "daily_adjustments"
    if not (source / "factor_files" / "aapl.csv").is_file():
        pytest.skip(f"no factor file of AAPL in {source}")
    for folder in ("factor_files", "map_files"):
        (tmp_path / folder).mkdir()
        shutil.copy(source / folder / "aapl.csv", tmp_path / folder)
    upload.load_lean(conn, tmp_path)
    own = books(conn)
    own.fill(100, 600, 1, on="2014-06-02", symbol="AAPL")
    own.fill(30, 640, on="2014-06-06", symbol="AAPL")
    own.fill(-400, 94, 2, on="2014-06-10", symbol="AAPL")
    return own


def position(own: Books, as_of: str, method: str, *columns: str) -> tuple[Any, ...]:
    [row] = own.query(
        f"select {', '.join(columns)} from portfolio.positions_at(%s, 'infinity', %s, %s)",
        as_of,
        method,
    )
    return row


@pytest.mark.parametrize("method", ["average", "fifo", "lifo"])
@pytest.mark.parametrize(
    ("as_of", "quantity"),
    [
        ("2014-06-06 20:00+00", 130),
        # The ex date begins at midnight in New York.
        ("2014-06-09 03:59+00", 130),
        ("2014-06-09 04:00+00", 910),
        ("2014-06-11 00:00+00", 510),
    ],
)
def test_position_through_the_split_has_seven_shares_for_one(apple, method, as_of, quantity):
    assert position(apple, as_of, method, "quantity", "symbol") == (quantity, "AAPL")


def test_split_leaves_the_cost_and_divides_the_price(apple):
    before = position(apple, "2014-06-09 03:59+00", "average", "cost", "average_price * 130")
    after = position(apple, "2014-06-09 04:00+00", "average", "cost", "average_price")
    assert before == (79200, pytest.approx(D(79200)))
    assert after == (79200, pytest.approx(D(79200) / 910))


@pytest.mark.parametrize(
    ("method", "closed_cost"),
    [
        ("average", D(79200) * 400 / 910),
        # Of the 700 shares that cost 60,000.
        ("fifo", D(60000) * 400 / 700),
        # All of the 210 that cost 19,200, and 190 of the others.
        ("lifo", 19200 + D(60000) * 190 / 700),
    ],
)
def test_sale_after_the_split_realizes_what_the_lots_had_cost(apple, method, closed_cost):
    realized, cost, cash, fees = position(
        apple, "2014-06-11 00:00+00", method, "realized_pnl", "cost", "cash", "fees"
    )
    assert realized == pytest.approx(37600 - closed_cost, abs=D("1e-9"))
    assert cost == pytest.approx(79200 - closed_cost, abs=D("1e-9"))
    assert (cash, fees) == (-60000 - 19200 + 37600 - 3, 3)


@pytest.mark.parametrize(
    ("as_of", "dividend"), [("2014-08-07 03:59+00", 0), ("2014-08-07 04:00+00", D("0.47"))]
)
def test_dividend_after_the_split_is_paid_on_the_shares_of_the_day(apple, as_of, dividend):
    [paid] = position(apple, as_of, "fifo", "dividends")
    # The file has the dividend as a ratio of seven digits: to a hundredth of a cent a share.
    assert paid == pytest.approx(510 * dividend, abs=D("0.0001") * 510)


def test_live_position_after_the_split_agrees_with_the_books(apple):
    apple.rebuild()
    apple.conn.execute(
        "select portfolio.apply_corporate_actions(%s, '2014-06-10')", (apple.session,)
    )
    assert apple.query("select quantity, cost from portfolio._positions where session_id = %s") == [
        (510, pytest.approx(D(79200) * 510 / 910, abs=D("1e-9")))
    ]
    assert apple.broken() == []
