"""Features against pandas, and what they may know when."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import psycopg
import pytest

from factories import add_instrument
from model_data import feature_frame, known_at, make_bars, store_bars
from tsdb_trader.api import models as api
from tsdb_trader.errors import InputError, UnknownObjectError

DAILY = [
    *("return_1d", "return_5d", "return_20d", "return_60d", "volatility_20d", "volume_z_20d"),
    *("distance_20d", "rsi_14d", "gap_1d", "range_1d"),
]
MARKET = ["relative_1d", "relative_5d"]
ALL = [*DAILY, *MARKET, "news_sentiment", "news_count_5d"]


def by_pandas(bars: pd.DataFrame) -> pd.DataFrame:
    """Return the daily features of an instrument without corporate actions."""
    close, log = bars["close"], np.log(bars["close"])
    moves = log.diff()
    volume = np.log(bars["volume"]).round(6)
    found = {f"return_{n}d": close / close.shift(n) - 1 for n in (1, 5, 20, 60)}
    found["volatility_20d"] = moves.round(9).rolling(20).std()
    found["volume_z_20d"] = (volume - volume.rolling(20).mean()) / volume.rolling(20).std()
    found["distance_20d"] = log - log.rolling(20).mean()
    found["rsi_14d"] = 100 * moves.clip(lower=0).rolling(14).sum() / moves.abs().rolling(14).sum()
    found["gap_1d"] = bars["open"] / close.shift(1) - 1
    found["range_1d"] = (bars["high"] - bars["low"]) / close
    return pd.DataFrame(found)[DAILY].set_axis(known_at(pd.DatetimeIndex(bars.index)))


def bits(frame: pd.DataFrame) -> list[Any]:
    """Return what a frame holds so that only equal bits are equal, nulls included."""
    return [
        (index, values.tobytes())
        for index, values in zip(frame.index, frame.to_numpy(), strict=True)
    ]


@pytest.fixture
def bars() -> dict[str, pd.DataFrame]:
    return make_bars()


@pytest.fixture
def ids(conn: psycopg.Connection, bars: dict[str, pd.DataFrame]) -> dict[str, int]:
    return store_bars(conn, bars)


def add_news(
    conn: psycopg.Connection,
    instrument_id: int,
    ts: datetime,
    sentiment: float | None,
    *,
    recv: datetime | None = None,
    story: str | None = None,
    seq: int = 0,
) -> None:
    conn.execute(
        "insert into ops.feeds (feed, format) values ('wire', 'json') on conflict do nothing"
    )
    conn.execute(
        """insert into market.news (ts, recv_ts, seq, instrument_id, source_id, feed_id, ns, headline_id,
               headline, sentiment, model, model_version)
           select %s, %s, %s, %s, 0, f.feed_id, 0, %s, 'h', %s, m, m
           from ops.feeds f, (select case when %s::numeric is null then null else '1' end) x (m)
           where f.feed = 'wire'""",
        (ts, recv or ts, seq, instrument_id, story, sentiment, sentiment),
    )


def test_daily_features_are_those_of_pandas(conn, bars, ids):
    found = feature_frame(conn, DAILY)
    assert len(found) == sum(len(frame) for frame in bars.values())
    for symbol, frame in bars.items():
        expected = by_pandas(frame)
        ours = found.loc[ids[symbol]]
        assert list(ours.index) == list(expected.index)
        for name in DAILY:
            # pandas adds up along the window, with rounding of its own.
            np.testing.assert_allclose(
                ours[name], expected[name], rtol=1e-9, atol=1e-12, err_msg=f"{symbol} {name}"
            )


def test_daily_features_null_where_history_is_short(conn, bars, ids):
    found = feature_frame(conn, DAILY).loc[ids["S0"]]
    assert found.notna().sum().to_dict() == {
        **{"return_1d": 219, "return_5d": 215, "return_20d": 200, "return_60d": 160},
        **{"volatility_20d": 200, "volume_z_20d": 201, "distance_20d": 201, "rsi_14d": 206},
        **{"gap_1d": 219, "range_1d": 220},
    }


def test_market_features_are_those_of_pandas(conn, bars, ids):
    found = feature_frame(conn, MARKET)
    closes = pd.DataFrame({symbol: frame["close"] for symbol, frame in bars.items()})
    for name, n in (("relative_1d", 1), ("relative_5d", 5)):
        returns = closes / closes.shift(n) - 1
        relative = returns.sub(returns.mean(axis=1), axis=0)
        for symbol in bars:
            np.testing.assert_allclose(
                found.loc[ids[symbol]][name], relative[symbol], rtol=0, atol=2e-12
            )


@pytest.mark.parametrize("start", ["2015-04-01", "2015-06-12 20:00:00Z", "2015-11-01"])
def test_features_of_any_window_are_bit_identical(conn, ids, start):
    conn.execute(
        "insert into ref.splits (instrument_id, ex_date, new_shares, old_shares, known_at) "
        "values (%s, '2015-05-20', 7, 3, '2015-05-01')",
        (ids["S1"],),
    )
    whole = feature_frame(conn, [*DAILY, *MARKET])
    since = pd.Timestamp(start) if "Z" in start else pd.Timestamp(start, tz="UTC")
    part = feature_frame(conn, [*DAILY, *MARKET], start=start)
    later = whole[whole.index.get_level_values("as_of") > since]
    assert len(part) > 8
    assert bits(part) == bits(later)


def test_features_of_some_instruments_are_those_of_all(conn, ids):
    some = [ids["S1"], ids["S5"]]
    whole = feature_frame(conn, [*DAILY, *MARKET])
    part = feature_frame(conn, [*DAILY, *MARKET], ids=some)
    assert bits(part) == bits(whole.loc[some])


def leak(conn: psycopg.Connection) -> None:
    """Register a feature that looks a bar ahead."""
    conn.execute(
        """create function signal.leaky(p_instruments integer[], p_from timestamptz, p_to timestamptz)
           returns table (as_of timestamptz, instrument_id integer, features double precision[])
           language sql stable as $$
               select b.ts + interval '16 hours', b.instrument_id,
                      array[lead(b.close) over (partition by b.instrument_id order by b.ts)]
               from market._source_bars b where b.ts < $3 + interval '7 days' $$"""
    )
    conn.execute(
        "select signal.register_feature('leaky', "
        "'signal.leaky(integer[], timestamptz, timestamptz)', 1, 'looks ahead', '0')"
    )


def changed_after(conn: psycopg.Connection, features: list[str], t: datetime) -> bool:
    """Tell whether what comes after a time changes what was known up to it."""
    before = feature_frame(conn, features, end=t.isoformat())
    conn.execute(
        "update market._source_bars set close = close * 2, open = open * 3, volume = 7 where ts > %s",
        (t,),
    )
    conn.execute("delete from market._source_bars where ts > %s", (t + timedelta(days=30),))
    conn.execute("delete from market.news where greatest(ts, recv_ts) > %s", (t,))
    conn.execute("delete from ref.splits where ex_date > %s", (t.date(),))
    after = feature_frame(conn, features, end=t.isoformat())
    assert len(before) > 8
    return bits(before) != bits(after)


@pytest.fixture
def busy(conn: psycopg.Connection, ids: dict[str, int]) -> None:
    """Make news about S0, late news as well, and splits before and after the time of the tests."""
    for n in range(40):
        ts = datetime(2015, 8, 1, tzinfo=UTC) + timedelta(hours=13 * n)
        add_news(
            conn, ids["S0"], ts, (-1) ** n * n / 50, recv=ts + timedelta(hours=5 * (n % 7)), seq=n
        )
    for day in ("2015-07-15", "2015-09-10"):
        conn.execute(
            "insert into ref.splits (instrument_id, ex_date, new_shares, old_shares, known_at) "
            "values (%s, %s, 2, 1, '2015-01-01')",
            (ids["S0"], day),
        )


def test_features_later_data_change_nothing_known_before(conn, busy):
    assert not changed_after(conn, ALL, datetime(2015, 8, 14, 20, 0, tzinfo=UTC))


def test_features_that_look_ahead_are_found_by_the_same_check(conn, ids):
    leak(conn)
    assert changed_after(conn, ["leaky"], datetime(2015, 8, 14, 20, 0, tzinfo=UTC))


def test_daily_features_split_leaves_no_trace(conn, bars, ids):
    plain = feature_frame(conn, DAILY).loc[ids["S2"]]
    day = bars["S2"].index[100]
    conn.execute(
        """update market._source_bars set open = open / 2, high = high / 2, low = low / 2, close = close / 2,
               volume = volume * 2 where instrument_id = %s and ts >= %s::date""",
        (ids["S2"], str(day.date())),
    )
    jump = feature_frame(conn, DAILY).loc[ids["S2"]]
    assert jump["return_1d"].iloc[100] < -0.4
    conn.execute(
        "insert into ref.splits (instrument_id, ex_date, new_shares, old_shares, known_at) values (%s, %s, 2, 1, %s)",
        (ids["S2"], day.date(), day),
    )
    adjusted = feature_frame(conn, DAILY).loc[ids["S2"]]
    # Halved prices are rounded to four decimals.
    np.testing.assert_allclose(adjusted, plain, rtol=0, atol=2e-3)


def test_daily_features_dividend_is_part_of_the_return(conn, ids):
    conn.execute(
        "update market._source_bars set open = 500000, high = 500000, low = 500000, close = 500000 "
        "where instrument_id = %s",
        (ids["S3"],),
    )
    conn.execute(
        "insert into ref.dividends (instrument_id, ex_date, kind, amount, currency, known_at) values (%s, '2015-06-01', 'special', 1, 'USD', '2015-05-01')",
        (ids["S3"],),
    )
    found = feature_frame(conn, ["return_1d", "gap_1d"]).loc[ids["S3"]]
    on = found.loc["2015-06-01"]
    assert on["return_1d"].iloc[0] == pytest.approx(50 / 49 - 1, abs=1e-14)
    assert on["gap_1d"].iloc[0] == pytest.approx(50 / 49 - 1, abs=1e-14)
    assert found["return_1d"].drop(on.index).dropna().abs().max() < 1e-14


def test_daily_features_action_of_unknown_factor_breaks_the_series(conn, ids):
    conn.execute(
        "insert into ref.dividends (instrument_id, ex_date, kind, amount, currency, known_at) values (%s, '2015-06-01', 'special', 1, 'EUR', '2015-05-01')",
        (ids["S3"],),
    )
    found = feature_frame(conn, ["return_1d", "return_5d"]).loc[ids["S3"]][
        "2015-05-29":"2015-06-09"
    ]
    assert found["return_1d"].isna().tolist() == [False, True] + [False] * 6
    assert found["return_5d"].isna().tolist() == [False] + [True] * 5 + [False] * 2


def test_daily_features_missing_values_are_null_and_no_more(conn, ids):
    conn.execute(
        "update market._source_bars set volume = 0, open = null where instrument_id = %s and ts::date = '2015-09-01'",
        (ids["S0"],),
    )
    found = feature_frame(conn, DAILY).loc[ids["S0"]]
    day = found.loc["2015-09-01"].iloc[0]
    assert day.index[day.isna()].tolist() == ["volume_z_20d", "gap_1d"]
    assert found["volume_z_20d"]["2015-09-01":].isna().sum() == 20


def test_daily_features_after_a_long_halt_are_null(conn, ids):
    conn.execute(
        "delete from market._source_bars where instrument_id = %s and ts >= '2015-06-01' and ts < '2015-06-26'",
        (ids["S0"],),
    )
    first = feature_frame(conn, DAILY).loc[ids["S0"]]["2015-06-26":].iloc[0]
    assert first.index[first.notna()].tolist() == ["return_60d", "range_1d"]


def test_daily_features_bar_received_late_is_known_late(conn, ids):
    conn.execute(
        "update market._source_bars set recv_ts = '2015-06-04T12:00Z' where instrument_id = %s and ts::date = '2015-06-02'",
        (ids["S0"],),
    )
    found = feature_frame(conn, ["return_1d"]).loc[ids["S0"]]
    assert [str(t) for t in found["2015-06-01":"2015-06-05"].index] == [
        "2015-06-01 20:00:00+00:00", "2015-06-04 12:00:00+00:00", "2015-06-04 20:00:00+00:00",
        "2015-06-05 20:00:00+00:00",
    ]  # fmt: skip


def test_features_of_a_half_day_are_known_at_its_close(conn, ids):
    conn.execute(
        "insert into ref.calendars (exchange, time_zone, first_date, last_date, library) "
        "values ('XNYS', 'America/New_York', '2015-06-01', '2015-06-05', 'made up')"
    )
    conn.execute(
        "insert into ref.calendar_days (exchange, date, opens_at, closes_at, early_close) "
        "values ('XNYS', '2015-06-03', '2015-06-03T13:30Z', '2015-06-03T17:00Z', true)"
    )
    found = feature_frame(conn, ["return_1d"]).loc[ids["S0"]]
    assert str(found["2015-06-03":].index[0]) == "2015-06-03 17:00:00+00:00"


def test_news_features_count_from_when_a_headline_was_known(conn):
    ibm = add_instrument(conn, "IBM")
    noon = datetime(2015, 8, 3, 12, tzinfo=UTC)
    add_news(conn, ibm, noon, 0.5, recv=noon + timedelta(hours=2), seq=1)
    add_news(conn, ibm, noon + timedelta(hours=1), -0.3, seq=2)
    add_news(conn, ibm, noon + timedelta(days=4, hours=23), 0.1, seq=3)
    add_news(conn, ibm, noon + timedelta(days=1), None, seq=4)
    found = feature_frame(conn, ["news_sentiment", "news_count_5d"]).loc[ibm]
    assert [str(t) for t in found.index] == [
        "2015-08-03 13:00:00+00:00", "2015-08-03 14:00:00+00:00", "2015-08-08 11:00:00+00:00"
    ]  # fmt: skip
    old, new = np.exp(-2 / 24), np.exp(-1 / 24)
    last = [np.exp(-(4 + 23 / 24)), np.exp(-(4 + 22 / 24)), 1]
    np.testing.assert_allclose(
        found["news_sentiment"],
        [-0.3, (0.5 * old - 0.3 * new) / (old + new), np.dot([0.5, -0.3, 0.1], last) / sum(last)],
        rtol=1e-14,
    )
    assert found["news_count_5d"].tolist() == [1, 2, 3]


def test_news_features_repeated_story_counts_once_with_its_last_form(conn):
    ibm = add_instrument(conn, "IBM")
    noon = datetime(2015, 8, 3, 12, tzinfo=UTC)
    add_news(conn, ibm, noon, 0.5, story="a", seq=1)
    add_news(conn, ibm, noon + timedelta(hours=1), 0.9, story="a", seq=2)
    found = feature_frame(conn, ["news_sentiment", "news_count_5d"]).loc[ibm]
    assert found["news_sentiment"].tolist() == pytest.approx([0.5, 0.9])
    assert found["news_count_5d"].tolist() == [1, 1]


def test_news_features_later_score_counts_from_when_it_was_made(conn):
    ibm = add_instrument(conn, "IBM")
    noon = datetime(2015, 8, 3, 12, tzinfo=UTC)
    add_news(conn, ibm, noon, None, seq=1)
    conn.execute("insert into ops.feeds (feed, format) values ('x', 'json')")
    conn.execute(
        "insert into market.sources (source_id, feed_id, sha256, content, name, kind) overriding system value "
        "select 0, feed_id, 'k', 'k', 'n', 'news' from ops.feeds where feed = 'x'"
    )
    conn.execute(
        "insert into market.news_scores (source_id, seq, model, model_version, sentiment, scored_at) "
        "values (0, 1, 'vader', '3', 0.7, %s)",
        (noon + timedelta(hours=6),),
    )
    found = feature_frame(conn, ["news_sentiment"]).loc[ibm]
    assert [(str(t), v) for t, v in found["news_sentiment"].items()] == [
        ("2015-08-03 18:00:00+00:00", 0.7)
    ]


def test_feature_rows_carry_news_to_the_close_and_drop_it_when_old(conn, ids):
    s0 = ids["S0"]
    add_news(
        conn,
        s0,
        datetime(2015, 8, 4, 12, tzinfo=UTC),
        0.25,
        recv=datetime(2015, 8, 4, 20, 0, tzinfo=UTC),
    )
    found = feature_frame(conn, ["return_1d", "news_sentiment"]).loc[s0]["news_sentiment"]
    known = found.dropna()
    assert known.tolist() == [0.25] * 4
    assert [str(t.date()) for t in known.index] == [
        "2015-08-04",
        "2015-08-05",
        "2015-08-06",
        "2015-08-07",
    ]


def test_features_long_form_holds_the_same_values(conn, ids):
    rows = conn.execute(
        "select instrument_id, as_of, feature, value from signal.features(%s, null, '2015-09-01', '2015-09-30')",
        (["rsi_14d", "relative_1d", "return_1d"],),
    ).fetchall()
    long = pd.DataFrame(rows, columns=["instrument_id", "as_of", "feature", "value"])
    wide = feature_frame(conn, ["rsi_14d", "relative_1d", "return_1d"], "2015-09-01", "2015-09-30")
    pivot = long.pivot(index=["instrument_id", "as_of"], columns="feature", values="value")
    assert bits(pivot[wide.columns].sort_index()) == bits(wide)


def test_labels_are_the_returns_that_follow_with_their_times(conn, bars, ids):
    rows = conn.execute(
        "select as_of, label, known_at from signal.labels(%s, '2000-01-01', '2015-10-01', 3) order by 1",
        ([ids["S4"]],),
    ).fetchall()
    close = bars["S4"]["close"]
    expected = (close.shift(-3) / close - 1)[:"2015-09-25"]
    times = known_at(pd.DatetimeIndex(close.index))
    assert [r[0] for r in rows] == list(times[: len(expected)])
    assert [r[2] for r in rows] == list(times[3 : len(expected) + 3])
    np.testing.assert_allclose([r[1] for r in rows], expected, rtol=0, atol=1e-13)
    with pytest.raises(InputError, match="1 to 60 bars"):
        api.labels(conn, None, (datetime(2015, 1, 1, tzinfo=UTC),) * 2, 61)


@pytest.mark.parametrize(
    ("features", "error", "says"),
    [
        (
            ["return_5"],
            UnknownObjectError,
            r'unknown feature "return_5" \(did you mean "return_5d"',
        ),
        (["zzz"], UnknownObjectError, 'unknown feature "zzz": see'),
        ([], InputError, "name one feature or more"),
        (["rsi_14d", "rsi_14d"], InputError, "each once"),
    ],
)
def test_features_that_cannot_be_are_refused(conn, features, error, says):
    with pytest.raises(error, match=says):
        api.feature_rows(conn, features, None, (datetime(2015, 1, 1, tzinfo=UTC),) * 2)


@pytest.mark.parametrize(
    ("signature", "body", "says"),
    [
        ("(a integer[], b timestamptz, c timestamptz) returns table (as_of timestamptz, instrument_id integer, features double precision[]) language sql volatile",
         "select now(), 1, array[1.0::float8]", "must be stable"),
        ("(a integer[], b timestamptz) returns table (as_of timestamptz, instrument_id integer, features double precision[]) language sql stable",
         "select now(), 1, array[1.0::float8]", "must take"),
        ("(a integer[], b timestamptz, c timestamptz) returns table (as_of timestamptz, instrument_id integer, value double precision) language sql stable",
         "select now(), 1, 1.0::float8", "must return table"),
    ],
)  # fmt: skip
def test_register_feature_function_of_no_use_is_refused(conn, signature, body, says):
    conn.execute(f"create function signal.bad{signature} as $$ {body} $$")
    arguments = conn.execute("select 'signal.bad'::regproc::oid::regprocedure::text").fetchone()[0]
    with pytest.raises(psycopg.Error, match=says) as caught:
        conn.execute(
            "select signal.register_feature('bad', %s::regprocedure, 1, 'd', '0')", (arguments,)
        )
    assert caught.value.sqlstate == "TT001"


def test_register_feature_again_as_another_is_refused(conn):
    leak(conn)
    again = "select signal.register_feature(%s, %s::regprocedure, %s, 'looks ahead', '0')"
    leaky = "signal.leaky(integer[], timestamptz, timestamptz)"
    conn.execute(again, ("leaky", leaky, 1))
    for name, position in (("leaky", 2), ("other", 1)):
        with pytest.raises(psycopg.Error, match="choose another name"):
            conn.execute(again, (name, leaky, position))


def test_features_bars_of_two_feeds_are_refused(conn, bars, ids):
    store_bars(conn, {"S0": bars["S0"]}, feed="other")
    with pytest.raises(psycopg.Error, match="feeds daily, other have daily bars of S0") as caught:
        feature_frame(conn, ["return_1d"])
    assert caught.value.sqlstate == "TT001"


def test_features_are_for_readers(connect_as, ids):
    for role in ("tsdb_quant", "tsdb_readonly"):
        found = feature_frame(connect_as(role), ALL, "2015-09-01", "2015-09-30")
        assert len(found) > 8
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        connect_as("tsdb_quant").execute(
            "select signal.register_feature('x', 'signal.daily_features(integer[], timestamptz, timestamptz)', 1, 'd', '0')"
        )
