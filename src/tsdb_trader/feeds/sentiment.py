"""Sentiment of headlines by VADER, with the version that gave the score.

Hutto and Gilbert 2014, "VADER: A Parsimonious Rule-based Model for Sentiment Analysis of Social
Media Text". It was not made for finance: docs/results.md has how far it agrees with people on
financial headlines.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import cache
from importlib import metadata

from tsdb_trader.api import news
from tsdb_trader.db import Connection
from tsdb_trader.errors import ConfigurationError
from tsdb_trader.feeds.base import Message

SCORED_AT_ONCE = 1000
"""Headlines of a transaction of `score_stored`."""
LONGEST = 10_000
"""Characters that are scored: VADER takes time with the square of a text's length."""


@dataclass(frozen=True)
class Model:
    """Scores a headline from -1 to 1; equal name and version give equal scores."""

    name: str
    version: str
    score: Callable[[str], Decimal]


@cache
def vader() -> Model:
    """Return VADER: its compound score, of four decimals.

    Raises
    ------
    ConfigurationError
        It is not installed.
    """
    try:
        from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer
    except ImportError:
        raise ConfigurationError(
            "sentiment needs vaderSentiment: install the extra feeds (pip install "
            "'tsdb-trader[feeds]'), or say sentiment = \"none\" in the mapping file"
        ) from None
    analyzer = SentimentIntensityAnalyzer()

    def score(text: str) -> Decimal:
        # The library rounds to four decimals, so the shortest decimal is its score.
        return Decimal(str(analyzer.polarity_scores(text[:LONGEST])["compound"]))

    return Model("vader", metadata.version("vaderSentiment"), score)


def scored(messages: Sequence[Message]) -> Sequence[Message]:
    """Score the headlines among messages; those that say what their model is stay as they are.

    Raises
    ------
    ConfigurationError
        The model is not installed.
    """
    if not any(message.kind == "news" and "model" not in message.columns for message in messages):
        return messages
    model = vader()
    found = []
    for message in messages:
        if message.kind == "news" and "model" not in message.columns:
            own = {
                "sentiment": model.score(message.columns["headline"]),
                "model": model.name,
                "model_version": model.version,
            }
            message = replace(message, columns={**message.columns, **own})
        found.append(message)
    return found


def score_stored(conn: Connection, model: Model | None = None) -> int:
    """Score stored headlines that the model has not scored; return how many.

    Their first scores stay: what strategies saw does not change (``market.news_scores``).

    Parameters
    ----------
    conn
        An autocommit connection; each `SCORED_AT_ONCE` headlines are a transaction.
    """
    model = model or vader()
    done = 0
    after = None
    while True:
        headlines = news.unscored(conn, model.name, model.version, SCORED_AT_ONCE, after)
        if not headlines:
            return done
        scores = [model.score(headline.headline) for headline in headlines]
        done += news.add_scores(conn, model.name, model.version, headlines, scores)
        after = headlines[-1]
