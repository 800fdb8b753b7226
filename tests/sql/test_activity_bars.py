"""Tick, volume and dollar bars against a plain loop."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import psycopg
import pytest

from lean_files import archive
from tsdb_trader.feeds import loader

DAY = ("2013-10-07 04:00Z", "2013-10-08 04:00Z")
CALLS = {"ticks": "tick_bars", "volume": "volume_bars", "dollars": "dollar_bars"}
ROWS = "".join(
    f"{34200000 + n * 7 // 3},{1000000 + n * 37 % 900 * 100},{n * 91 % 1300 + 1},D,{condition},0\n"
    for n in range(400)
    for condition in [["1", "20000020", "4000000", "1", "2000"][n % 5]]
)


def called(
    conn: psycopg.Connection, kind: str, threshold: object, feed: str | None = None
) -> list[tuple[Any, ...]]:
    return conn.execute(
        f"select * from market.{CALLS[kind]}("
        "(select min(instrument_id) from ref.instruments), %s, %s, %s, p_feed => %s)",
        (*DAY, threshold, feed),
    ).fetchall()


def loop(conn: psycopg.Connection, kind: str, threshold: int) -> list[tuple[Any, ...]]:
    """Sample bars one trade after the other."""
    rows = conn.execute(
        """select ts, price, size, flags from market._trades where ts >= %s and ts < %s
           order by ts, ns, source_id, seq""",
        DAY,
    ).fetchall()
    found, members, held = [], [], Fraction(0)
    for ts, price, size, flags in rows:
        if flags & (4 | 64 | 128):
            continue
        members.append((ts, price, size, flags))
        held += {"ticks": 1, "volume": size, "dollars": Fraction(price * size, 10_000)}[kind]
        if held >= threshold:
            found.append((members, True))
            members, held = [], Fraction(0)
    if members:
        found.append((members, False))
    return [bar(number, *each) for number, each in enumerate(found, 1)]


def bar(number: int, trades: list[tuple[Any, ...]], complete: bool) -> tuple[Any, ...]:
    last = [price / 10_000 for _, price, _, flags in trades if not flags & 16]
    span = [price / 10_000 for _, price, _, flags in trades if not flags & 32]
    volume = sum(size for _, _, size, _ in trades)
    notional = sum(price * size for _, price, size, _ in trades)
    return (
        number,
        trades[0][0],
        trades[-1][0],
        last[0] if last else None,
        max(span, default=None),
        min(span, default=None),
        last[-1] if last else None,
        float(volume),
        len(trades),
        pytest.approx(notional / volume / 10_000, rel=1e-14),
        pytest.approx(notional / 10_000, rel=1e-14),
        complete,
    )


@pytest.fixture
def trades(conn: psycopg.Connection, tmp_path: Path) -> psycopg.Connection:
    loader.load(conn, "lean", [archive(tmp_path, ROWS, "trade")])
    return conn


@pytest.mark.parametrize("kind", CALLS)
def test_bars_by_activity_equal_a_plain_loop(trades, kind):
    for threshold in {"ticks": (1, 7, 1000), "volume": (1, 5_000, 10**9), "dollars": (1, 777_777)}[
        kind
    ]:
        assert called(trades, kind, threshold) == loop(trades, kind, threshold)


@pytest.mark.needs_data
def test_bars_by_activity_of_recorded_trades_equal_a_plain_loop(conn, data_folder):
    loader.load(conn, "lean", [data_folder / "us_equity_ticks/ibm/20131007_trade.zip"])
    for kind, threshold in (("ticks", 500), ("volume", 100_000), ("dollars", 10_000_000)):
        found = called(conn, kind, threshold)
        assert len(found) > 20
        assert found == loop(conn, kind, threshold)


def test_trade_that_crosses_a_boundary_belongs_to_the_bar_it_closes(conn, tmp_path):
    rows = "".join(f"3420000{n},1000000,{size},D,1,0\n" for n, size in enumerate((60, 250, 40, 60)))
    loader.load(conn, "lean", [archive(tmp_path, rows, "trade")])
    found = [(row[0], row[7], row[-1]) for row in called(conn, "volume", 100)]
    assert found == [(1, 310.0, True), (2, 100.0, True)]


def test_bars_by_activity_without_trades_are_none(trades):
    rows = trades.execute(
        "select * from market.tick_bars(1, '2020-01-01', '2020-01-02', 10)"
    ).fetchall()
    assert rows == []


@pytest.mark.parametrize("kind", CALLS)
def test_bars_by_activity_of_nothing_are_refused(trades, kind):
    wrong: list[object] = [0, -1, None]
    if kind != "ticks":
        wrong += [float("nan"), float("inf")]
    for threshold in wrong:
        with pytest.raises(psycopg.Error) as caught:
            called(trades, kind, threshold)
        assert caught.value.sqlstate == "TT001", threshold


def test_bars_by_activity_bad_input_is_refused(trades, tmp_path):
    loader.load(trades, "lean", [archive(tmp_path / "b", ROWS, "trade")], feed="other")
    span = "'2013-10-07', '2013-10-09'"
    for arguments, state in (
        (f"1, {span}, 10", "TT001"),  # two feeds
        (f"1, {span}, 10, 'nowhere'", "TT002"),
        (f"99, {span}, 10, 'lean'", "TT002"),
        ("1, '2013-10-09', '2013-10-07', 10, 'lean'", "TT001"),
        ("1, null, '2013-10-07', 10, 'lean'", "TT001"),
    ):
        with pytest.raises(psycopg.Error) as caught:
            trades.execute(f"select * from market.tick_bars({arguments})")
        assert caught.value.sqlstate == state, arguments
    assert len(called(trades, "ticks", 100, "other")) == 4


def test_bars_by_activity_may_be_read_by_quants(trades, connect_as):
    assert called(connect_as("quant"), "volume", 1000)
