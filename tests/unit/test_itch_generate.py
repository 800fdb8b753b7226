"""The generated session: valid, never crossed, the same bytes for the same seed."""

from __future__ import annotations

import hashlib
import io
from collections import Counter, defaultdict
from datetime import date
from pathlib import Path

import pytest
from itch.messages import messages as known
from itch.parser import MessageParser
from typer.testing import CliRunner

from itch_reference import frames, reference
from tsdb_trader.cli import build
from tsdb_trader.errors import InputError
from tsdb_trader.feeds.itch_generate import DAY, generate


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return generate(tmp_path_factory.mktemp("itch"), messages=40_000, symbols=7, seed=3).path


def test_generate_same_seed_gives_the_same_bytes(path, tmp_path):
    def digest(seed: int) -> str:
        done = generate(tmp_path / "x.itch", messages=5_000, symbols=3, seed=seed)
        return hashlib.sha256(done.path.read_bytes()).hexdigest()

    assert digest(1) == digest(1) != digest(2)


def test_generate_is_named_by_its_day_and_has_every_type_but_one(path):
    assert path.name == f"{DAY:%m%d%Y}.NASDAQ_ITCH50"
    theirs = list(MessageParser().parse_file(io.BytesIO(path.read_bytes())))
    assert len(theirs) == 40_000
    counts = Counter(m.message_type for m in theirs)
    assert set(known) - set(counts) == {b"W"}
    events = [m.event_code for m in theirs if m.message_type == b"S"]
    assert b"".join(events) == b"OSQMEC"
    times = [m.timestamp for m in theirs]
    assert times == sorted(times)


def test_generate_nothing_of_it_is_rejected(path):
    rows = reference(path.read_bytes(), DAY)
    assert len(rows) == 40_000
    assert all(value[0] != "rejected" for row in rows for value in row)


def test_generate_books_never_lock_or_cross(path):
    """Keep each book as plain dicts of price to shares."""
    orders: dict[int, list] = {}
    books: dict[str, dict[str, dict[int, int]]] = defaultdict(lambda: {"B": {}, "S": {}})
    quoted = 0
    for raw in frames(path.read_bytes())[0]:
        m = known[raw[:1]](raw)
        kind = raw[:1]
        if kind not in b"AFECXDU":
            continue
        if kind in b"AF":
            symbol = m.stock.decode()
            orders[m.order_reference_number] = [
                symbol,
                m.buy_sell_indicator.decode(),
                m.price,
                m.shares,
            ]
            added = m.order_reference_number
        else:
            symbol, side, price, left = orders[m.order_reference_number]
            taken = getattr(m, "executed_shares", getattr(m, "cancelled_shares", left))
            assert 0 < taken <= left
            level = books[symbol][side]
            level[price] -= taken
            if not level[price]:
                del level[price]
            orders[m.order_reference_number][3] -= taken
            if not orders[m.order_reference_number][3] or kind in b"DU":
                del orders[m.order_reference_number]
            if kind != b"U":
                added = None
            else:
                added = m.new_order_reference_number
                orders[added] = [symbol, side, m.price, m.shares]
        if added is not None:
            _, side, price, shares = orders[added]
            level = books[symbol][side]
            level[price] = level.get(price, 0) + shares
        book = books[symbol]
        if book["B"] and book["S"]:
            assert max(book["B"]) < min(book["S"])
            quoted += 1
    assert quoted > 30_000


@pytest.mark.parametrize("messages", [54, 55, 100, 1_000])
def test_generate_writes_exactly_so_many_messages(tmp_path, messages):
    done = generate(tmp_path / "x.itch", messages=messages, symbols=2)
    assert len(frames(done.path.read_bytes())[0]) == messages == done.messages


@pytest.mark.parametrize(("messages", "symbols"), [(53, 2), (1_000, 0), (10**6, 26**3 + 1)])
def test_generate_impossible_session_is_an_error(tmp_path, messages, symbols):
    with pytest.raises(InputError, match="symbols"):
        generate(tmp_path, messages=messages, symbols=symbols)


def test_sample_command_writes_a_session(tmp_path):
    arguments = ["sample", str(tmp_path), "--itch", "--messages", "500", "--symbols", "2"]
    done = CliRunner().invoke(build("sample"), [*arguments, "--date", "2023-08-22"])
    assert done.exit_code == 0, done.output
    assert "500" in done.output
    assert (
        len(reference((tmp_path / "08222023.NASDAQ_ITCH50").read_bytes(), date(2023, 8, 22))) == 500
    )
