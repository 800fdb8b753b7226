"""market.alt_series: every revision is kept, and only what was published can be seen."""

from __future__ import annotations

import random
import uuid
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import psycopg
import pytest

from factories import add_instrument
from quality_data import us
from tsdb_trader.api import news as api
from tsdb_trader.feeds import loader
from tsdb_trader.feeds.base import Block, Message, Options
from tsdb_trader.feeds.store import SourceWriter, build

Q1, Q2, Q3 = (datetime(2014, month, 1, tzinfo=UTC) for month in (3, 6, 9))
DAY = timedelta(days=1)


def publish(
    conn: psycopg.Connection,
    *values: tuple[datetime, datetime, str],
    series: str = "GDP",
    feed: str = "bea",
    symbol: str | None = None,
) -> None:
    """Store (event time, publication time, value) as a source of its own."""
    key = uuid.uuid4().hex
    writer = SourceWriter(conn, feed, "csv", key, key, "made up")
    messages = [
        Message(
            "series",
            us(event),
            row,
            {"series": series, "value": Decimal(value), "unit": "%"},
            symbol,
            recv_ts=us(published),
        )
        for row, (event, published, value) in enumerate(values)
    ]
    writer.write(build(Block(0, len(messages), messages=messages)), complete=True)


def known(conn: psycopg.Connection, as_of: datetime, **more: object) -> list[tuple[object, ...]]:
    return [(v.event_ts, v.value, v.revision) for v in api.series_at(conn, "GDP", as_of, **more)]  # type: ignore[arg-type]


def test_series_at_gives_the_last_publication_of_each_time(conn):
    publish(
        conn, (Q1, Q1 + 30 * DAY, "0.1"), (Q1, Q1 + 60 * DAY, "-1.0"), (Q2, Q2 + 30 * DAY, "4.0")
    )
    assert known(conn, Q1 + 29 * DAY) == []
    assert known(conn, Q1 + 30 * DAY) == [(Q1, Decimal("0.1"), 0)]
    assert known(conn, Q1 + 60 * DAY) == [(Q1, Decimal("-1.0"), 1)]
    assert known(conn, Q3) == [(Q1, Decimal("-1.0"), 1), (Q2, Decimal("4.0"), 0)]


def test_series_at_keeps_values_exactly(conn):
    values = ("0.1", "123456789012345678901234567890.123456789", "-1E-30")
    publish(conn, *((Q1 + i * DAY, Q2, value) for i, value in enumerate(values)))
    assert [v for _, v, _ in known(conn, Q3)] == [Decimal(v) for v in values]


def test_series_at_forecasts_are_known_before_their_time(conn):
    publish(conn, (Q3, Q1, "2.5"))
    assert known(conn, Q1) == [(Q3, Decimal("2.5"), 0)]


def test_series_at_keeps_instruments_and_feeds_apart(conn):
    instrument = add_instrument(conn, "IBM")
    publish(conn, (Q1, Q1, "1"))
    publish(conn, (Q1, Q1, "2"), symbol="IBM")
    publish(conn, (Q1, Q2, "3"), feed="other")
    assert known(conn, Q1) == [(Q1, Decimal(1), 0)]
    assert known(conn, Q1, instrument_id=instrument) == [(Q1, Decimal(2), 0)]
    assert known(conn, Q2) == [(Q1, Decimal(3), 1)]
    assert known(conn, Q2, feed="bea") == [(Q1, Decimal(1), 0)]
    assert known(conn, Q2, feed="none") == []


def test_series_value_that_is_no_number_is_refused_by_the_table(conn):
    for value in ("NaN", "Infinity"):
        with pytest.raises(psycopg.errors.CheckViolation):
            publish(conn, (Q1, Q1, value))
    assert conn.execute("select count(*) from market.alt_series").fetchone() == (0,)


@pytest.mark.parametrize("seed", range(2))
def test_series_as_of_never_changes_by_later_publications(conn, seed):
    rng = random.Random(seed)
    moments: list[datetime] = []
    before: list[object] = []
    for step in range(6):
        start = Q1 + step * 10 * DAY
        publish(
            conn,
            *(
                (
                    Q1 + rng.randrange(-20, 60) * DAY,
                    start + rng.uniform(0.01, 10) * DAY,
                    str(rng.randrange(100)),
                )
                for _ in range(6)
            ),
        )
        assert [known(conn, m) for m in moments] == before
        moments += [start + rng.uniform(0, 10) * DAY, start + 10 * DAY]
        before = [known(conn, m) for m in moments]
    assert len(before[-1]) > len(before[0])


def test_series_are_loaded_from_a_mapped_csv(conn, tmp_path):
    (tmp_path / "gdp.csv").write_text(
        "date,released,v\n2014-03-01,2014-04-30,0.1\n2014-03-01,2014-05-29,-1.0\n2014-06-01,bad,4\n"
    )
    (tmp_path / "gdp.toml").write_text(
        """
        kind = "series"
        time = "date"
        recv_time = "released"
        [columns]
        series = { constant = "GDP" }
        value = "v"
        unit = { constant = "%" }
        """
    )
    report = loader.load(
        conn, "csv", [tmp_path / "gdp.csv"], options=Options(mapping=tmp_path / "gdp.toml")
    )
    assert (report.total().stored, report.total().quarantined) == (2, 1)
    assert known(conn, datetime(2014, 5, 1, tzinfo=UTC)) == [(Q1, Decimal("0.1"), 0)]
    assert known(conn, datetime(2014, 6, 1, tzinfo=UTC)) == [(Q1, Decimal("-1.0"), 1)]
