"""tsdb-trader load news: once and only once, scored, nothing lost."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

from factories import add_instrument
from tsdb_trader.feeds import loader, news, sentiment
from tsdb_trader.feeds.base import Options
from tsdb_trader.feeds.store import Counts
from workers.command_line import runner

LINES = [
    {"time": "2014-05-01T12:30:00.5Z", "title": "IBM profit soars", "symbols": ["IBM"], "id": 1},
    "no object",
    {"time": "2014-05-01T12:31:00Z", "title": "IBM warns of terrible losses", "symbols": "IBM,X"},
    {"time": "2014-05-01T12:30:00.5Z", "title": "IBM profit soars", "symbols": ["IBM"], "id": 1},
]


def write(folder: Path, lines: list[object], name: str = "wire.jsonl.gz") -> Path:
    path = folder / name
    path.write_bytes(gzip.compress("\n".join(json.dumps(line) for line in lines).encode()))
    return path


def test_load_news_stores_headlines_with_scores_and_quarantines_the_rest(conn, tmp_path):
    instrument = add_instrument(conn, "IBM")
    path = write(tmp_path, LINES)
    report = loader.load(conn, "news", [path])
    assert report.total() == Counts(4, 3, 1)
    assert report.total("news") == Counts(3, 3, 0)
    library = SentimentIntensityAnalyzer()
    expected = [
        (
            line["title"],
            [instrument],
            Decimal(str(library.polarity_scores(line["title"])["compound"])),
            *("vader", "3.3.2", flags),
        )
        for line, flags in ((LINES[0], 0), (LINES[2], 0), (LINES[3], 8))
    ]
    assert (
        conn.execute(
            """select headline, instrument_ids, sentiment, model, model_version, flags
               from market.news order by seq"""
        ).fetchall()
        == expected
    )
    assert conn.execute("select position, reason, raw from market.quarantine").fetchall() == [
        (1, "malformed", '"no object"')
    ]
    assert loader.load(conn, "news", [path]).already_loaded == 1
    renamed = path.rename(tmp_path / "renamed.jsonl.gz")
    assert loader.load(conn, "news", [renamed]).already_loaded == 1
    assert conn.execute("select count(*) from market.news").fetchone() == (3,)


def test_load_news_resumes_after_a_block(conn, tmp_path, monkeypatch):
    monkeypatch.setattr(news, "BLOCK_LINES", 2)
    path = write(tmp_path, LINES * 5)

    class Stop(loader.Silent):
        def rows(self, done: int) -> None:
            if done >= 6:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        loader.load(conn, "news", [path], progress=Stop())
    assert conn.execute("select count(*) from market.news").fetchone() < (15,)
    [file] = loader.load(conn, "news", [path]).files
    assert file.status == "resumed"
    assert conn.execute("select count(*), count(distinct seq) from market.news").fetchone() == (
        *(15, 15),
    )


def test_load_news_without_sentiment_is_scored_later(conn, tmp_path):
    mapping = tmp_path / "map.toml"
    mapping.write_text('sentiment = "none"\ntime = "time"\n[columns]\nheadline = "title"\n')
    loader.load(conn, "news", [write(tmp_path, LINES)], options=Options(mapping=mapping))
    assert conn.execute("select count(*), count(sentiment) from market.news").fetchone() == (3, 0)
    assert sentiment.score_stored(conn) == 3
    assert sentiment.score_stored(conn) == 0
    assert conn.execute(
        "select count(*), count(distinct sentiment), bool_or(at_load) from market.news_sentiment"
    ).fetchone() == (3, 2, False)


def test_load_news_of_many_pages_is_scored_page_by_page(conn, tmp_path, monkeypatch):
    monkeypatch.setattr(sentiment, "SCORED_AT_ONCE", 4)
    lines = [LINES[0] | {"id": i} for i in range(10)]
    loader.load(conn, "news", [write(tmp_path, lines)])
    model = sentiment.Model("length", "1", lambda text: Decimal(len(text)) / 100)
    assert sentiment.score_stored(conn, model) == 10
    assert sentiment.score_stored(conn) == 0


def test_news_command_scores_and_resolves(database, conn, tmp_path):
    mapping = tmp_path / "map.toml"
    mapping.write_text(
        'sentiment = "none"\ntime = "time"\n[columns]\nheadline = "title"\nsymbols = "symbols"\n'
    )
    loader.load(conn, "news", [write(tmp_path, LINES)], options=Options(mapping=mapping))
    add_instrument(conn, "X")

    def command(*arguments: str) -> dict[str, object]:
        done = subprocess.run(
            [sys.executable, "-m", "tsdb_trader", "news", *arguments, "--json"],
            env={**os.environ, "TSDB_TRADER_DATABASE_URL": database},
            capture_output=True,
            text=True,
            check=True,
        )
        return json.loads(done.stdout)

    assert command("score") == {"model": "vader", "version": "3.3.2", "scored": 3}
    assert command("score")["scored"] == 0
    assert command("resolve") == {"resolved": 1}


def test_news_train_command_scores_stored_headlines_which_become_a_feature(
    at_test_database, conn, tmp_path, capsys
):
    labelled = tmp_path / "labelled.json"
    words = {0.6: ("profit rises", "sales surge"), -0.6: ("heavy losses", "sales slump")}
    labelled.write_text(
        json.dumps(
            [
                {"title": f"Firm{n} {text}", "sentiment": score}
                for n in range(60)
                for score, texts in words.items()
                for text in texts
            ]
        )
    )
    mapping = tmp_path / "map.toml"
    mapping.write_text(
        'sentiment = "none"\ntime = "time"\n[columns]\nheadline = "title"\nsymbols = "symbols"\n'
    )
    x = add_instrument(conn, "X")
    lines = [
        {"time": "2015-06-01T12:00:00Z", "title": "Xerox sales slump", "symbols": ["X"]},
        {"time": "2015-06-02T12:00:00Z", "title": "Xerox: profit rises", "symbols": ["X"]},
    ]
    loader.load(conn, "news", [write(tmp_path, lines)], options=Options(mapping=mapping))
    run = runner(capsys)
    done = run("news", "train", str(labelled), "--dry-run")
    assert done.status == 0, done.err
    assert "nothing scored" in done.out
    found = json.loads(run("news", "train", str(labelled), "--json").out)
    assert found["scored"] == 2
    assert found["agreement"]["learnt"]["same_sign"] > 0.95
    assert json.loads(run("news", "train", str(labelled), "--json").out)["scored"] == 0
    # As if the scores had been made the minute after.
    conn.execute("update market.news_scores set scored_at = '2015-06-02T12:01Z'")
    rows = conn.execute(
        "select as_of at time zone 'UTC', instrument_id, features[1] from signal.feature_rows("
        "'{news_sentiment}', null, '2015-06-01', '2015-06-03')"
    ).fetchall()
    assert [(str(t), i) for t, i, _ in rows] == [("2015-06-02 12:01:00", x)]
    scores = [
        float(s)
        for (s,) in conn.execute("select sentiment from market.news_scores order by seq").fetchall()
    ]
    assert scores[0] < -0.2 < 0.2 < scores[1]
    weights = [np.exp(-(24 * 60 + 1) / 1440), np.exp(-1 / 1440)]
    assert rows[0][2] == pytest.approx(np.dot(scores, weights) / sum(weights), rel=1e-12)
