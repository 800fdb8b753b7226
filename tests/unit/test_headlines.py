"""Sentiment that is learnt: what it is tested on, what it finds on real headlines, what is refused."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import r2_score
from sklearn.metrics.pairwise import cosine_similarity

from tsdb_trader.errors import InputError
from tsdb_trader.feeds import sentiment
from tsdb_trader.research import headlines

GOOD = ["profit rises", "sales surge", "record growth", "dividend increased"]
BAD = ["profit falls", "sales slump", "heavy losses", "dividend cancelled"]


def write(folder: Path, rows: Any) -> Path:
    path = folder / "labelled.json"
    path.write_text(json.dumps(rows))
    return path


def made(count: int = 240) -> list[dict[str, Any]]:
    return [
        {"title": f"Company{n} {words}", "sentiment": sign * 0.5}
        for n in range(count // 2)
        for words, sign in ((GOOD[n % 4], 1), (BAD[n % 4], -1))
    ]


def test_train_learns_words_and_is_the_same_from_the_same_file(tmp_path):
    labelled = headlines.read_labelled(write(tmp_path, made()))
    first, second = headlines.train(labelled), headlines.train(labelled)
    assert (first.name, first.version) == ("headlines", second.version)
    assert first.version.startswith(labelled.sha256[:12])
    for text, sign in (("Morrisons sales surge", 1), ("Tesco: heavy losses", -1)):
        assert first.score(text) == second.score(text)
        assert first.score(text) * sign > Decimal("0.2")
    assert (
        headlines.train(headlines.read_labelled(write(tmp_path, made(260)))).version
        != first.version
    )
    assert headlines.validate(labelled).same_sign > 0.95


def test_score_stays_from_minus_one_to_one_whatever_the_text(tmp_path):
    rows = [row | {"sentiment": 2 * row["sentiment"]} for row in made()]
    model = headlines.train(headlines.read_labelled(write(tmp_path, rows)))
    for text in (
        "",
        "\x00",
        "profit rises sales surge record growth dividend increased",
        "x" * 20_000,
    ):
        assert -1 <= model.score(text) <= 1


def test_validate_scores_no_story_by_a_model_that_saw_it(tmp_path):
    # Labels are chance; each story is there three times, its words in another order.
    random = np.random.default_rng(8)
    words = [f"w{n}" for n in range(4000)]
    rows = []
    for _ in range(220):
        story, score = random.choice(words, 6, replace=False), float(random.choice([-0.8, 0.8]))
        rows += [
            {"title": " ".join(random.permutation(story)), "sentiment": score} for _ in range(3)
        ]
    found = headlines.validate(headlines.read_labelled(write(tmp_path, rows)))
    assert abs(found.pearson) < 0.25


def test_agreement_is_that_of_scikit_learn():
    random = np.random.default_rng(9)
    people = np.round(random.normal(0, 0.3, 300).clip(-1, 1), 1)
    found = (people + random.normal(0, 0.2, 300)).clip(-1, 1)
    ours = headlines.agreement(found, people)
    assert ours.cosine == pytest.approx(cosine_similarity([found], [people])[0, 0])
    assert ours.r2 == pytest.approx(r2_score(people, found))
    assert ours.pearson == pytest.approx(np.corrcoef(found, people)[0, 1])
    assert headlines.agreement(np.zeros(300), people).cosine == 0


@pytest.mark.needs_data
def test_learnt_sentiment_of_real_headlines_agrees_more_than_vader(data_folder):
    """1,142 headlines of SemEval-2017 task 5: cosine 0.572 in folds, VADER 0.383 (docs/models.md)."""
    labelled = headlines.read_labelled(data_folder / "sentiment/SemEval2017Task5Headlines.json")
    learnt = headlines.validate(labelled)
    assert learnt.cosine == pytest.approx(0.572, abs=0.01)
    assert learnt.r2 == pytest.approx(0.322, abs=0.015)
    assert headlines.judge(labelled, sentiment.vader().score).cosine == pytest.approx(
        0.383, abs=0.001
    )


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ({"title": "a"}, "not an array"),
        ([{"title": "a", "sentiment": 2}], "headline 1: needs a title"),
        ([{"title": "a", "sentiment": True}], "headline 1: needs a title"),
        ([{"title": " ", "sentiment": 0.1}], "headline 1: needs a title"),
        ([*made(), {"sentiment": 0.1}], "headline 241: needs a title"),
        ([*made(), "text"], "headline 241: needs a title"),
        ([*made(), {"title": "a", "sentiment": float("nan")}], "headline 241: needs a title"),
        (made(100), "100 different headlines of at least 200"),
        (made(2) * 200, "2 different headlines"),
        ([row | {"sentiment": 0.5} for row in made()], "every headline has the sentiment 0.5"),
    ],
)
def test_read_labelled_file_of_no_use_is_refused(tmp_path, rows, says):
    with pytest.raises(InputError, match=says):
        headlines.read_labelled(write(tmp_path, rows))


def test_read_labelled_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"labelled\.json"):
        headlines.read_labelled(tmp_path / "labelled.json")
