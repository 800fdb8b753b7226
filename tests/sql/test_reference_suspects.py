"""What is wrong in the S&P 500 file is found, and spin-offs on record make it smooth."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

from daily_bars import add_bars, load_sp500
from factories import add_instrument

# Fourteen spin-offs, a dividend of shares (DISCA, DISCK) and a special dividend (KLAC).
UNADJUSTED = {
    ("A", "2014-11-03"), ("ARNC", "2016-11-01"), ("BAX", "2015-07-01"), ("CAG", "2016-11-10"),
    ("CTXS", "2017-02-01"), ("DHR", "2016-07-05"), ("DISCA", "2014-08-07"),
    ("DISCK", "2014-08-07"), ("EBAY", "2015-07-20"), ("HPE", "2017-04-03"), ("HPE", "2017-09-01"),
    ("IR", "2013-12-02"), ("KLAC", "2014-11-26"), ("NI", "2015-07-02"), ("VNO", "2017-07-18"),
    ("XRX", "2017-01-03"), ("YUM", "2016-11-01"),
}  # fmt: skip
BAD_TICKS = {
    ("LNT", "2016-05-19"), ("FLR", "2017-09-14"), ("MPC", "2017-09-14"), ("MRO", "2017-09-14"),
    ("NWL", "2017-09-14"),
}  # fmt: skip


@pytest.fixture(scope="module")
def sp500(server, clones, data_folder) -> Iterator[psycopg.Connection]:
    """Return a connection to a database with the S&P 500 file, every row of it."""
    name = clones.take()
    with psycopg.connect(server.url(database=name), autocommit=True) as connection:
        load_sp500(connection, data_folder)
        yield connection
    clones.give_back(name)


@pytest.fixture(scope="module")
def suspects(sp500) -> list[tuple[Any, ...]]:
    """Return (finding, symbol, date, observed, detail) of the whole file."""
    return sp500.execute(
        """select finding, symbol, date::text, observed, detail
           from market.daily_suspects('sp500')"""
    ).fetchall()


def of(suspects: list[tuple[Any, ...]], finding: str) -> set[tuple[str, str]]:
    return {(symbol, day) for found, symbol, day, _, _ in suspects if found == finding}


def test_daily_suspects_missing_cells_volumes_and_histories_of_the_catalog_are_found(suspects):
    counts = Counter(finding for finding, *_ in suspects)
    missing = [row for row in suspects if row[0] == "missing_value"]
    assert (len(missing), sum(row[3] for row in missing)) == (11, 27)
    assert counts["no_volume"] == 4
    assert counts["high_below_low"] == 1
    assert counts["short_history"] == 35
    outside = [row[4] for row in suspects if row[0] == "outside_range"]
    closes = [d for d in outside if not d["low"] <= d["close"] <= d["high"]]
    assert (len(closes), len(outside)) == (9, 12)
    days = Counter(symbol for symbol, _ in of(suspects, "missing_day"))
    assert days == {"DHR": 16, "O": 16, "ES": 10, "ICE": 5, "BMY": 2, "ORCL": 2}


def test_daily_suspects_bad_ticks_spin_offs_and_true_jumps_are_told_apart(suspects):
    assert of(suspects, "bad_tick") == BAD_TICKS
    assert of(suspects, "distribution") == UNADJUSTED
    jumps = of(suspects, "jump")
    assert {("AMD", "2016-04-22"), ("VRTX", "2013-04-19")} <= jumps
    # The day after a bad tick is none of them.
    assert ("LNT", "2016-05-20") not in jumps
    # A special dividend on the third day of a history: nobody can say what turnover is usual.
    assert ("BHGE", "2017-07-05") in jumps


def returns(conn: psycopg.Connection, symbol: str, day: str) -> tuple[float, float]:
    """Return a day's raw and adjusted return."""
    row = conn.execute(
        """select r.raw, r.adjusted from (
               select date, unadjusted_close / lag(unadjusted_close) over (order by date) - 1 as raw,
                   close / lag(close) over (order by date) - 1 as adjusted
               from market.adjusted_daily(ref.instrument_id(%s), '2013-02-08', '2018-02-07')) r
           where r.date = %s""",
        (symbol, day),
    ).fetchone()
    assert row is not None
    return row


def test_adjusted_daily_spin_offs_on_record_make_the_file_smooth(sp500):
    """Values per share: closes of the children on their first day, or theirs in the file."""
    spun_off: list[tuple[str, str, dict[str, Any]]] = [
        ("EBAY", "2015-07-20", {"child": "PYPL", "ratio": 1}),
        ("DISCA", "2014-08-07", {"child": "DISCK", "ratio": 1}),
        ("BAX", "2015-07-01", {"child": "Baxalta", "value": "31.50"}),
        ("NI", "2015-07-02", {"child": "Columbia Pipeline Group", "value": "28.63"}),
    ]
    with sp500.transaction(force_rollback=True):
        for symbol, day, fact in spun_off:
            sp500.execute(
                "select ref.record('spin_offs', %s, %s)",
                (Jsonb({"symbol": symbol, "ex_date": day} | fact), f"{day} 00:00Z"),
            )
        # Holders of either class got one share of class C for each of theirs.
        sp500.execute(
            "select ref.record('splits', %s)",
            (Jsonb({"symbol": "DISCK", "ex_date": "2014-08-07", "new_shares": 2}),),
        )
        for symbol, day in [(s, d) for s, d, _ in spun_off] + [("DISCK", "2014-08-07")]:
            raw, adjusted = returns(sp500, symbol, day)
            assert raw < -0.44, symbol
            assert abs(adjusted) < 0.06, (symbol, adjusted)
        found = sp500.execute(
            """select symbol, finding from market.daily_suspects('sp500', '2014-07-01', '2015-08-01')
               where finding in ('distribution', 'explained')"""
        ).fetchall()
        assert sorted(found) == [
            ("A", "distribution"),
            *((s, "explained") for s in ("BAX", "DISCA", "DISCK", "EBAY")),
            ("KLAC", "distribution"),
            ("NI", "explained"),
        ]


def test_daily_suspects_threshold_is_a_row(conn):
    stock = add_instrument(conn, "IBM")
    add_bars(conn, stock, {"2020-01-02": 100, "2020-01-03": 110, "2020-01-06": 111})
    query = "select finding, date::text from market.daily_suspects('daily')"
    assert conn.execute(query).fetchall() == []
    conn.execute("select market.set_quality_rule('daily_jump', 0.05, 'a test')")
    assert conn.execute(query).fetchall() == [("jump", "2020-01-03")]
    with pytest.raises(psycopg.Error, match="unknown feed") as caught:
        conn.execute("select market.daily_suspects('none')")
    assert caught.value.sqlstate == "TT002"
