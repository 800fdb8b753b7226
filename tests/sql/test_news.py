"""market.news as of a time: nothing that came later can be seen, whatever its source says."""

from __future__ import annotations

import random
import uuid
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest

from factories import add_instrument
from quality_data import Tick, store, us
from tsdb_trader.api import news as api
from tsdb_trader.errors import InputError
from tsdb_trader.feeds.base import Block, Message
from tsdb_trader.feeds.store import SourceWriter, build

NOON = datetime(2014, 5, 1, 12, tzinfo=UTC)
UNSCORED: dict[str, Any] = {"sentiment": None, "model": None, "model_version": None}


def at(minutes: float) -> datetime:
    return NOON + timedelta(minutes=minutes)


def item(
    ts: float, recv: float | None = None, headline: str = "h", **columns: Any
) -> dict[str, Any]:
    """Return a headline about IBM, times in minutes after noon."""
    return {"ts": ts, "recv": ts if recv is None else recv, "headline": headline} | columns


def score(value: str, model: str = "m", version: str = "1") -> dict[str, Any]:
    return {"sentiment": Decimal(value), "model": model, "model_version": version}


def add(conn: psycopg.Connection, *items: dict[str, Any], feed: str = "wire") -> None:
    """Store headlines as a source of their own."""
    key = uuid.uuid4().hex
    writer = SourceWriter(conn, feed, "news", key, key, "made up")
    messages = []
    for row, found in enumerate(items):
        columns = {"symbols": ["IBM"], "headline_id": None, **UNSCORED, **found}
        ts, recv = us(at(columns.pop("ts"))), us(at(columns.pop("recv")))
        messages.append(Message("news", ts, row, columns, recv_ts=recv))
    writer.write(build(Block(0, len(messages), messages=messages)), complete=True)


def seen(conn: psycopg.Connection, minutes: float, window: str = "1 day") -> list[str]:
    rows = conn.execute(
        "select headline from market.news_at(ref.instrument_id('IBM'), %s, %s::interval)",
        (at(minutes), window),
    )
    return [headline for (headline,) in rows]


@pytest.fixture
def ibm(conn: psycopg.Connection) -> int:
    return add_instrument(conn, "IBM")


def test_news_at_shows_a_headline_from_its_receipt_on(conn, ibm):
    add(conn, item(0, 5, "late"), item(3, 3, "prompt"), item(8, 7, "ahead of its time"))
    assert [seen(conn, m) for m in (2.99, 3, 4.99, 5, 7.5, 8)] == [
        *([], ["prompt"], ["prompt"], ["late", "prompt"], ["late", "prompt"]),
        ["late", "prompt", "ahead of its time"],
    ]


def test_news_at_window_is_of_the_source_s_time(conn, ibm):
    add(conn, item(-120, 1, "back-dated"), item(0, 1, "new"))
    assert seen(conn, 2, "1 hour") == ["new"]
    assert seen(conn, 2, "3 hours") == ["back-dated", "new"]
    assert seen(conn, 60, "1 hour") == []


def test_news_at_is_of_the_instrument_only(conn, ibm):
    other = add_instrument(conn, "BAC")
    add(conn, item(0, symbols=["BAC", "IBM"], headline="both"), item(1, symbols=[], headline="all"))
    assert seen(conn, 9) == ["both"]
    assert api.sentiment_at(conn, other, at(9)).stories == 1
    assert api.sentiment_at(conn, -1, at(9)).stories == 0


def test_news_at_joins_quotes_laterally(conn, ibm):
    store(conn, [Tick(at(m), bid=100, ask=102) for m in (0, 10, 20)], symbol="IBM")
    add(conn, item(5, 5, "a"), item(6, 15, "b"))
    assert conn.execute(
        """select q.ts, n.headline, s.stories from market.quotes q
           left join lateral market.news_at(q.instrument_id, q.ts, '1 hour') n on true
           cross join lateral market.sentiment_at(q.instrument_id, q.ts, '1 hour') s
           order by 1, 2"""
    ).fetchall() == [
        (at(0), None, 0),
        (at(10), "a", 1),
        (at(20), "a", 2),
        (at(20), "b", 2),
    ]


def test_news_at_reads_the_chunks_of_its_window_only(conn, ibm):
    add(conn, *(item(minutes * 7 * 1440) for minutes in range(10)))
    plan = "\n".join(
        line
        for (line,) in conn.execute(
            "explain (costs off) select * from market.news_at(1, %s, '1 day')", (at(60),)
        )
    )
    chunks = {word for word in plan.split() if word.startswith("_hyper_") and "_idx" not in word}
    assert 1 <= len(chunks) <= 2, plan


@pytest.mark.parametrize("seed", range(3))
def test_news_as_of_never_changes_by_what_comes_later(conn, ibm, seed):
    """A property: whatever is stored with recv_ts > t, the answers as of t stay."""
    rng = random.Random(seed)

    def made(from_minute: float) -> dict[str, Any]:
        recv = from_minute + rng.uniform(0.01, 60)
        scored = score(str(round(rng.uniform(-1, 1), 4))) if rng.random() < 0.7 else UNSCORED
        headline_id = rng.choice([None, "1", "2", "3"])
        ts = recv - rng.choice([0, 0.5, 30, 600, -5])
        return item(ts, recv, f"h{rng.random()}", headline_id=headline_id, **scored)

    def answers(moments: list[float]) -> list[Any]:
        return [
            (seen(conn, m, window), api.sentiment_at(conn, ibm, at(m), timedelta(hours=hours)))
            for m in moments
            for window, hours in (("1 hour", 1), ("1 day", 24))
        ]

    moments: list[float] = []
    before: list[Any] = []
    for step in range(6):
        add(conn, *(made(60 * step) for _ in range(8)))
        assert answers(moments) == before
        moments += [60 * step + rng.uniform(0, 60), 60 * (step + 1)]
        before = answers(moments)
    assert len({str(answer) for answer in before}) > len(moments)


def test_sentiment_at_counts_a_story_once_with_its_last_form_known(conn, ibm):
    add(
        conn,
        item(0, 0, "first", headline_id="1", **score("0.5")),
        item(1, 1, "corrected", headline_id="1", **score("-0.5")),
        item(2, 2, "other", headline_id="2", **score("0.3")),
        item(3, 3, "unscored", headline_id="3"),
    )
    assert api.sentiment_at(conn, ibm, at(0.5)).mean_sentiment == Decimal("0.5")
    found = api.sentiment_at(conn, ibm, at(9))
    assert (found.stories, found.scored, found.mean_sentiment) == (3, 2, Decimal("-0.1"))
    assert (found.last_sentiment, found.last_ts) == (Decimal("0.3"), at(3))
    assert api.sentiment_at(conn, ibm, at(-1)) == api.Sentiment(0, 0, None, None, None)


def test_news_repeated_id_is_flagged_per_feed_and_kept(conn, ibm):
    add(conn, item(0, headline_id="1"), item(1, headline_id="1"), item(2), item(3))
    add(conn, item(4, headline_id="1"))
    add(conn, item(5, headline_id="1"), feed="other")
    rows = conn.execute("select flags from market.news order by ts").fetchall()
    assert [flags for (flags,) in rows] == [0, 8, 0, 0, 8, 0]


# Scores


def test_scores_of_another_model_stand_beside_the_first(conn, ibm, connect_as):
    add(conn, item(0, **score("0.5")), item(1), item(2, **score("0.1", version="2")))
    worker = connect_as("tsdb_worker_feeds")
    [one, two] = api.unscored(worker, "m", "2", 10)
    assert api.add_scores(worker, "m", "2", [one, two], [Decimal("-0.5"), Decimal("0.25")]) == 2
    assert api.add_scores(worker, "m", "2", [one], [Decimal(1)]) == 0
    assert api.unscored(worker, "m", "2", 10) == []
    reader = connect_as("tsdb_quant")
    first = api.sentiment_at(reader, ibm, at(9))
    assert (first.scored, first.mean_sentiment) == (2, Decimal("0.3"))
    second = api.sentiment_at(reader, ibm, at(9), model=("m", "2"))
    assert (second.scored, second.mean_sentiment) == (3, Decimal("-0.05"))
    assert api.sentiment_at(reader, ibm, at(9), model=("m", "3")).scored == 0
    assert reader.execute(
        "select model_version, sentiment, at_load from market.news_sentiment order by ts, at_load desc"
    ).fetchall() == [
        ("1", Decimal("0.5"), True),
        ("2", Decimal("-0.5"), False),
        ("2", Decimal("0.25"), False),
        ("2", Decimal("0.1"), True),
    ]


def test_score_of_no_use_is_refused(conn, ibm):
    add(conn, item(0))
    [one] = api.unscored(conn, "m", "1", 10)
    for model, value in (("m", Decimal("1.1")), ("m", Decimal("NaN")), ("", Decimal(0))):
        with pytest.raises(InputError):
            api.add_scores(conn, model, "1", [one], [value])


# Symbols


def test_news_unknown_symbols_are_kept_and_found_when_registered(conn, ibm, connect_as):
    add(conn, item(0, symbols=["IBM", "NEW", "NEVER"]))
    statement = "select symbols, instrument_ids, unresolved from market.news"
    assert conn.execute(statement).fetchone() == (
        ["IBM", "NEW", "NEVER"],
        [ibm],
        ["NEVER", "NEW"],
    )
    new = add_instrument(conn, "NEW")
    ops = connect_as("tsdb_ops")
    assert (api.resolve(ops), api.resolve(ops)) == (1, 0)
    assert conn.execute(statement).fetchone() == (
        ["IBM", "NEW", "NEVER"],
        [ibm, new],
        ["NEVER"],
    )
    assert api.sentiment_at(conn, new, at(9)).stories == 1


def test_news_of_a_symbol_of_its_own_is_about_it(conn, ibm):
    writer = SourceWriter(conn, "w", "news", "x", "x", "made up")
    message = Message("news", us(NOON), 0, {"headline": "h", **UNSCORED}, symbol="IBM")
    writer.write(build(Block(0, 1, messages=[message])), complete=True)
    assert seen(conn, 1) == ["h"]
