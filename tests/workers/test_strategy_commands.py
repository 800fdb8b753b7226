"""Strategies in Python as a person and the signals worker use them."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from guide import python_cross
from pair_market import NEXT_OPEN, load_wave, open_replay, save_pair, write_batches
from tsdb_trader.config import settings
from tsdb_trader.errors import ConfigurationError
from tsdb_trader.workers.signals import SignalsWorker
from workers.command_line import runner

SECONDS = 60


def load_module(folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Write the guide's class as a module and have the setting name it; its path."""
    name = f"desk_{uuid.uuid4().hex}"
    (folder / f"{name}.py").write_text(python_cross())
    monkeypatch.syspath_prepend(folder)
    path = f"{name}:PythonCross"
    configure(monkeypatch, path)
    return path


def configure(monkeypatch: pytest.MonkeyPatch, strategies: str) -> None:
    monkeypatch.setenv("TSDB_TRADER_STRATEGIES", strategies)
    settings.cache_clear()


def consume(conn: psycopg.Connection, signals: psycopg.Connection) -> uuid.UUID:
    """Trade the loaded wave by a signals worker with its own login; the session."""
    session = open_replay(conn, NEXT_OPEN, SECONDS)
    conn.execute("select signal.bind_pairs(%s)", (session,))
    write_batches(conn, session, NEXT_OPEN, SECONDS)
    # Not in lock-step: nobody replays here.
    conn.execute(
        "update ops.sessions set parameters = '{\"speed\": 1}' where session_id = %s", (session,)
    )
    worker = SignalsWorker()
    worker.start(signals)
    while worker.step(signals):
        pass
    return session


def test_guide_commands_register_trade_compare_and_backtest(
    conn: psycopg.Connection,
    connect_as: Callable[..., psycopg.Connection],
    at_test_database: None,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = load_module(tmp_path, monkeypatch)
    load_wave(conn, NEXT_OPEN, SECONDS)
    strategy = runner(capsys, "strategy")
    registered = strategy("register", path)
    assert (registered.status, registered.err) == (0, "")
    saved = strategy("save", path, "A", "--feed", "test", "--from", "2013-10-08T00:00Z",
                     "--set", "fast_s=3", "--set", "slow_s=9", "--set", "quantity=100")  # fmt: skip
    assert (saved.status, saved.err) == (0, "")
    refused = strategy("save", path, "A", "--feed", "test", "--from", "2013-10-08T00:00Z",
                       "--set", "fast_s=30", "--set", "slow_s=9", "--set", "quantity=100")  # fmt: skip
    assert refused.status == 5
    assert "below slow_s" in refused.err

    session = consume(conn, connect_as("tsdb_worker_signals"))
    orders = conn.execute(
        "select count(*) from oms.orders where session_id = %s", (session,)
    ).fetchone()
    signals = conn.execute(
        "select count(*) from signal.signals where session_id = %s", (session,)
    ).fetchone()
    assert orders == signals
    assert orders is not None
    assert orders[0] > 2
    compared = runner(capsys, "parity")(str(session))
    assert (compared.status, compared.out) == (0, "no differences\n")

    run = runner(capsys, "backtest")("python_cross", "--session", str(session), "--json")
    assert json.loads(run.out)["trades"] == orders[0]
    quotes = runner(capsys, "backtest")(
        "run", "python_cross", "--from", "2013-10-08T13:30Z", "--to", "2013-10-08T20:00Z", "--json")  # fmt: skip
    assert quotes.status == 0, quotes.err
    assert json.loads(quotes.out)["trades"] > 2
    configure(monkeypatch, "")
    assert "TSDB_TRADER_STRATEGIES" in runner(capsys, "backtest")(
        "python_cross", "--session", str(session)).err  # fmt: skip
    compared = runner(capsys, "parity")(str(session), "--json")
    assert compared.status == 6
    assert [d["kind"] for d in json.loads(compared.out)] == ["python_class"]


def test_worker_without_the_class_goes_on_with_the_others(
    conn: psycopg.Connection,
    connect_as: Callable[..., psycopg.Connection],
    at_test_database: None,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = load_module(tmp_path, monkeypatch)
    load_wave(conn, NEXT_OPEN, SECONDS)
    save_pair(conn)
    strategy = runner(capsys, "strategy")
    strategy("register", path)
    strategy("save", path, "A", "--feed", "test", "--from", "2013-10-08T00:00Z",
             "--set", "fast_s=3", "--set", "slow_s=9", "--set", "quantity=100")  # fmt: skip
    configure(monkeypatch, "")
    consume(conn, connect_as("tsdb_worker_signals"))
    assert conn.execute("select count(*) from signal.strategy_errors").fetchone() == (1,)
    last = conn.execute("select max(batch_no) from signal.pair_states").fetchone()
    assert last is not None
    assert last[0] > SECONDS - 10


def test_worker_with_a_class_that_cannot_be_loaded_does_not_start(
    connect_as: Callable[..., psycopg.Connection],
    at_test_database: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    configure(monkeypatch, "nowhere_to_be_found:Cross")
    with pytest.raises(ConfigurationError, match="nowhere_to_be_found:Cross: ModuleNotFoundError"):
        SignalsWorker().start(connect_as("tsdb_worker_signals"))
