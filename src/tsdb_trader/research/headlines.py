"""A sentiment of headlines that is learnt from headlines which people scored.

Words, pairs of words and pieces of words, weighted by tf-idf, in a ridge regression. It is trained
in seconds and comes out the same from the same file, so nothing is stored but the scores: the
version names the file's content and the library.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from importlib import import_module, metadata
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tsdb_trader.errors import ConfigurationError, InputError
from tsdb_trader.feeds.sentiment import LONGEST, Model

Array = npt.NDArray[np.float64]

MIN_HEADLINES = 200
"""Headlines to learn from at least."""
_FOLDS = 10


@dataclass(frozen=True)
class Labelled:
    """Headlines, and the scores from -1 to 1 that people gave them."""

    titles: Sequence[str]
    scores: Array
    sha256: str


@dataclass(frozen=True)
class Agreement:
    """How far scores agree with those of people.

    cosine is the measure of SemEval-2017 task 5; same_sign the share of the same direction, of
    those that people gave one.
    """

    cosine: float
    pearson: float
    r2: float
    same_sign: float


def read_labelled(path: Path) -> Labelled:
    """Read a JSON array of objects with a title and a sentiment from -1 to 1.

    Raises
    ------
    InputError
        The file cannot be read, or a row is not of this form; the message says which.
    """
    try:
        content = path.read_bytes()
        rows = json.loads(content)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: {error}") from None
    if not isinstance(rows, list):
        raise InputError(f"{path}: not an array of headlines")
    for place, row in enumerate(rows, 1):
        score = row.get("sentiment") if isinstance(row, dict) else None
        if (
            not isinstance(score, int | float)
            or isinstance(score, bool)
            or not -1 <= score <= 1
            or not isinstance(row.get("title"), str)
            or not row["title"].strip()
        ):
            raise InputError(f"{path}, headline {place}: needs a title, a sentiment from -1 to 1")
    titles = [row["title"][:LONGEST] for row in rows]
    stories = len(set(_stories(titles)))
    if stories < MIN_HEADLINES:
        raise InputError(f"{path}: {stories} different headlines of at least {MIN_HEADLINES}")
    scores = np.array([row["sentiment"] for row in rows], dtype=np.float64)
    if np.ptp(scores) == 0:
        raise InputError(f"{path}: every headline has the sentiment {scores[0]:g}")
    return Labelled(titles, scores, hashlib.sha256(content).hexdigest())


def train(labelled: Labelled) -> Model:
    """Return the model learnt from all headlines."""
    pipeline = _build().fit(labelled.titles, labelled.scores)
    libraries = f"sklearn-{metadata.version('scikit-learn')}"

    def score(text: str) -> Decimal:
        found = float(pipeline.predict([text[:LONGEST]])[0])
        return Decimal(f"{min(max(found, -1.0), 1.0):.4f}")

    return Model("headlines", f"{labelled.sha256[:12]}-{libraries}", score)


def validate(labelled: Labelled) -> Agreement:
    """Return the agreement on headlines that the scoring model did not see.

    In ten folds; the same words in any order are one story, and a story is in one fold.
    """
    selection = import_module("sklearn.model_selection")
    groups = np.unique(_stories(labelled.titles), return_inverse=True)[1]
    found = np.empty(labelled.scores.size)
    titles = np.array(labelled.titles, dtype=object)
    for rows, tested in selection.GroupKFold(_FOLDS).split(titles, labelled.scores, groups):
        fitted = _build().fit(titles[rows], labelled.scores[rows])
        found[tested] = np.clip(fitted.predict(titles[tested]), -1, 1)
    return agreement(found, labelled.scores)


def judge(labelled: Labelled, score: Callable[[str], Decimal]) -> Agreement:
    """Return the agreement of a model that was made without these headlines."""
    return agreement(np.array([float(score(t)) for t in labelled.titles]), labelled.scores)


def agreement(found: Array, people: Array) -> Agreement:
    """Compare scores with those of people."""
    directed = people != 0
    length = math.sqrt(float(found @ found) * float(people @ people))
    varies = np.ptp(found) > 0
    left = float(np.sum((found - people) ** 2) / np.sum((people - people.mean()) ** 2))
    return Agreement(
        cosine=float(found @ people) / length if length else 0.0,
        pearson=float(np.corrcoef(found, people)[0, 1]) if varies else 0.0,
        r2=1 - left,
        same_sign=float(np.mean(np.sign(found[directed]) == np.sign(people[directed]))),
    )


def _stories(titles: Sequence[str]) -> list[str]:
    return [" ".join(sorted(title.lower().split())) for title in titles]


def _build() -> Any:
    try:
        text = import_module("sklearn.feature_extraction.text")
        pipeline = import_module("sklearn.pipeline")
        linear = import_module("sklearn.linear_model")
    except ImportError:
        raise ConfigurationError(
            "models need scikit-learn: install the extra research "
            "(pip install 'tsdb-trader[research]')"
        ) from None
    words = text.TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
    pieces = text.TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True)
    return pipeline.make_pipeline(pipeline.make_union(words, pieces), linear.Ridge(alpha=1.0))
