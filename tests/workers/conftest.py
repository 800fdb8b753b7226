"""Settings that lead commands to the test's database."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tsdb_trader.config import settings


@pytest.fixture
def at_test_database(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """Have commands use the test's database, and a home of their own."""
    monkeypatch.setenv("TSDB_TRADER_DATABASE_URL", database)
    monkeypatch.setenv("TSDB_TRADER_HOME", str(tmp_path))
    settings.cache_clear()
    yield
    settings.cache_clear()
