"""The sample: the same bytes for the same seed, and a market that is not a toy."""

from __future__ import annotations

import hashlib
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from statsmodels.tsa.stattools import coint
from typer.testing import CliRunner

from feed_blocks import joined
from lean_files import QUOTES, archive
from tsdb_trader.errors import InputError
from tsdb_trader.feeds.base import Rules
from tsdb_trader.feeds.lean import LeanFormat
from tsdb_trader.feeds.sample import PAIRS, generate
from tsdb_trader.feeds.sample_market import OPEN_MS


def digests(folder: Path) -> dict[str, str]:
    return {
        str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in folder.rglob("*.zip")
    }


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sample")
    generate(path, seed=3, days=1, pairs=1)
    return path


def rows(folder: Path, name: str) -> np.ndarray:
    reader = LeanFormat()
    [file] = reader.discover([folder / name])
    with reader.open(file) as content:
        return np.array([line.split(",") for line in content.read().decode().splitlines()])


def test_generate_same_seed_gives_the_same_bytes(tmp_path):
    generate(tmp_path / "a", seed=5, pairs=2, minutes=5)
    generate(tmp_path / "b", seed=5, pairs=2, minutes=5)
    assert digests(tmp_path / "a") == digests(tmp_path / "b")
    assert len(digests(tmp_path / "a")) == 16


def test_generate_other_seed_gives_other_bytes(tmp_path):
    generate(tmp_path / "a", seed=5, days=1, pairs=1, minutes=5)
    generate(tmp_path / "b", seed=6, days=1, pairs=1, minutes=5)
    a, b = digests(tmp_path / "a"), digests(tmp_path / "b")
    assert a.keys() == b.keys()
    assert not set(a.values()) & set(b.values())


def test_generate_more_pairs_leaves_the_others_as_they_were(tmp_path):
    generate(tmp_path / "a", days=1, pairs=1, minutes=5)
    generate(tmp_path / "b", days=1, pairs=2, minutes=5)
    assert digests(tmp_path / "a").items() < digests(tmp_path / "b").items()


def test_generate_days_are_consecutive_trading_days(tmp_path):
    sample = generate(tmp_path, days=3, pairs=1, minutes=1)
    assert sample.days == (date(2022, 12, 23), date(2022, 12, 27), date(2022, 12, 28))


def test_generate_all_pairs_are_in_the_closes(tmp_path):
    assert generate(tmp_path, days=1, pairs=len(PAIRS), minutes=1).files == len(PAIRS) * 4


def test_generate_files_decode_without_a_rejected_row(folder):
    reader = LeanFormat()
    for file in reader.discover([folder]):
        with reader.open(file) as content:
            assert joined(reader.decode(file, content, Rules())).rejected == []


def test_generate_prices_are_around_the_real_closes(folder):
    # Closes of 2022-12-28 in the data set.
    for symbol, close in (("ko", 63.240), ("pep", 180.580)):
        prices = rows(folder, f"{symbol}/20221228_trade.zip")[:, 1].astype(float) / 1e4
        assert abs(np.median(prices) / close - 1) < 0.03


def test_generate_pair_is_cointegrated(folder):
    paths = []
    for symbol in ("ko", "pep"):
        table = rows(folder, f"{symbol}/20221228_trade.zip")[:, :2].astype(float)
        grid = OPEN_MS + np.arange(60, 23_400, 20) * 1000
        paths.append(np.log(table[np.searchsorted(table[:, 0], grid, side="right") - 1, 1]))
    assert coint(*paths)[1] < 0.01


def test_generate_quotes_have_one_side_per_row(folder):
    table = rows(folder, "ko/20221228_quote.zip")
    assert ((table[:, 1] == "0") != (table[:, 3] == "0")).all()


def test_generate_activity_is_u_shaped_and_bursty(folder):
    ms = rows(folder, "ko/20221228_trade.zip")[:, 0].astype(int) - OPEN_MS
    hourly = np.histogram(ms, bins=13, range=(0, 23_400_000))[0]
    assert hourly[0] > 2 * hourly[6]
    assert hourly[-1] > 1.2 * hourly[6]
    # A Poisson process has an index of dispersion of 1.
    counts = np.bincount((ms[(ms > 7_200_000) & (ms < 14_400_000)]) // 1000)[7200:]
    assert counts.var() / counts.mean() > 1.5


def test_generate_has_duplicates_an_outage_and_the_bounce(folder):
    quotes = rows(folder, "ko/20221228_quote.zip")
    duplicates = (quotes[1:] == quotes[:-1]).all(axis=1).mean()
    assert 0.02 < duplicates < 0.4
    ms = quotes[:, 0].astype(int)
    inside = ms[(ms >= OPEN_MS) & (ms < OPEN_MS + 23_400_000)]
    assert np.diff(inside).max() >= 45_000
    assert (ms < OPEN_MS).sum() > 10
    assert (ms > OPEN_MS + 23_400_000).sum() > 10
    prices = rows(folder, "ko/20221228_trade.zip")[:, 1].astype(float)
    moves = np.diff(prices)
    assert np.corrcoef(moves[1:], moves[:-1])[0, 1] < -0.1


@pytest.mark.parametrize(
    "arguments", [{"pairs": 0}, {"pairs": 99}, {"days": 0}, {"minutes": 0}, {"minutes": 391}]
)
def test_generate_number_out_of_range_is_an_error(tmp_path, arguments):
    with pytest.raises(InputError, match="use a number from 1"):
        generate(tmp_path, **arguments)


def test_generate_into_other_archives_is_an_error(tmp_path):
    archive(tmp_path, QUOTES)
    with pytest.raises(InputError, match="holds other archives"):
        generate(tmp_path, days=1, pairs=1, minutes=1)


def test_sample_command_says_that_rows_are_generated(tmp_path):
    import typer

    from tsdb_trader.commands.sample import sample

    app = typer.Typer()
    app.command()(sample)
    result = CliRunner().invoke(app, [str(tmp_path), "--days", "1", "--minutes", "1"])
    assert result.exit_code == 0
    assert "generated rows" in result.output
