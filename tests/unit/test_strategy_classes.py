"""State and parameters as JSON and back, and classes that will not do."""

from __future__ import annotations

import json
import math
import struct
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guide import python_cross
from tsdb_trader.errors import ConfigurationError, InputError
from tsdb_trader.strategies import Step, StepInput, load, load_all, start
from tsdb_trader.strategies.codec import decode, encode, fields


@dataclass(frozen=True)
class Everything:
    """A field of every kind."""

    x: float
    n: int
    ok: bool
    text: str
    at: datetime
    maybe: float | None = None
    many: list[float] = field(default_factory=list)
    times: tuple[datetime, ...] = ()
    nested: dict[str, list[int | None]] = field(default_factory=dict)


FLOATS = st.floats(allow_nan=False, allow_infinity=False)
TIMES = st.datetimes(timezones=st.just(timezone(timedelta(hours=-5))))
WORDS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))


def bits(value: float) -> bytes:
    return struct.pack("<d", value)


@given(
    st.builds(
        Everything,
        FLOATS,
        st.integers(),
        st.booleans(),
        WORDS,
        TIMES,
        st.none() | FLOATS,
        st.lists(FLOATS),
        st.lists(TIMES).map(tuple),
        st.dictionaries(WORDS, st.lists(st.none() | st.integers())),
    )
)
def test_codec_any_value_comes_back_to_the_last_bit(value: Everything) -> None:
    text = json.dumps(encode(value))
    again = decode(Everything, json.loads(text))
    assert again == value
    assert again.at.tzinfo is UTC
    # But for the sign of a zero, which JSON numbers of the database have not.
    assert bits(again.x) == bits(value.x + 0.0)


def test_codec_numbers_as_the_database_writes_them_are_the_same_floats() -> None:
    document = encode(Everything(1e300, 1, True, "", datetime(2020, 1, 1, tzinfo=UTC)))
    # A decimal without an exponent: to Python an integer, which is not the float exactly.
    document["x"] = 10**300
    assert decode(Everything, document).x == 1e300


GOOD: dict[str, Any] = {
    "x": 1.0,
    "n": 1,
    "ok": True,
    "text": "a",
    "at": datetime(2020, 1, 1, tzinfo=UTC),
}


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("x", math.nan, "x is not finite"),
        ("x", math.inf, "x is not finite"),
        ("x", True, "x must be float"),
        ("x", 10**400, "x is out of range"),
        ("n", 1.5, "n must be int"),
        ("n", False, "n must be int"),
        ("ok", 1, "ok must be bool"),
        ("text", "a\0b", "text is no text"),
        ("text", "\ud800", "text is no text"),
        ("at", datetime(2020, 1, 1), "without a time zone"),  # noqa: DTZ001 - what is refused
        ("many", [1.0, math.nan], r"many\[1\] is not finite"),
        ("many", (1.0,), "many must be"),
        ("nested", {"a": [1.5]}, r"nested\['a'\]\[0\] must be"),
        ("nested", {1: []}, "nested must be str"),
    ],
)
def test_codec_value_of_another_kind_is_refused(name: str, value: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        encode(Everything(**GOOD | {name: value}))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"more": 1}, "more is unknown"),
        ({"at": "yesterday"}, "at is no time"),
        ({"at": "2020-01-01"}, "without a time zone"),
        ({"x": "1"}, "x must be float"),
        ({"n": 1.5}, "n must be int"),
    ],
)
def test_codec_document_that_is_not_one_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        decode(Everything, encode(Everything(**GOOD)) | change)
    with pytest.raises(InputError, match="at is missing"):
        decode(Everything, {})


@pytest.mark.parametrize("hint", [object, "int | str", "list", "dict[int, int]", "tuple[int, int]"])
def test_fields_of_a_kind_that_is_not_kept_are_refused(hint: Any) -> None:
    kind = dataclass(type("Odd", (), {"__annotations__": {"odd": hint}}))
    with pytest.raises(InputError, match=r"odd: .* is no type of a field"):
        fields(kind)


Write = Callable[[str], str]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Return a function that writes a module of its own and gives its name."""
    monkeypatch.syspath_prepend(tmp_path)

    def to_module(source: str) -> str:
        name = f"desk_{uuid.uuid4().hex}"
        (tmp_path / f"{name}.py").write_text(source)
        return name

    return to_module


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("class PythonCross(", "class Other(", "has no PythonCross"),
        ("import exp", "import nothing", "ImportError"),
        ("    @staticmethod\n", "", "must be a @staticmethod"),
        ("def step", "def stop", "has no step"),
        ("Strategy[CrossState, CrossParameters]", "Strategy", "does not say of what"),
        ("(Strategy[CrossState, CrossParameters])", "", "no subclass"),
        ("event: str | None = None", "event: int | None = None", "needs event"),
        ("quantities: list[int]", "quantities: list[float]", "needs quantities"),
        (
            "as_of: datetime | None = None",
            "as_of: datetime = field()",
            "needs? a default|TypeError",
        ),
        ("fast: float = 0.0", "fast: object = None", "fast: .* is no type"),
        ('name = "python_cross"', 'name = "Python Cross"', "its name must be"),
        ('description = "Crossover', 'about = "Crossover', "needs a description"),
    ],
)
def test_class_that_will_not_do_is_refused(write: Write, old: str, new: str, message: str) -> None:
    assert old in python_cross()
    with pytest.raises(ConfigurationError, match=message):
        load(f"{write(python_cross().replace(old, new))}:PythonCross")


def test_setting_that_names_no_classes_or_two_of_one_name_is_refused(write: Write) -> None:
    path = f"{write(python_cross())}:PythonCross"
    assert list(load_all(f" {path} ,")) == ["python_cross"]
    assert load_all("") == {}
    with pytest.raises(ConfigurationError, match="write module:Class"):
        load_all("PythonCross")
    with pytest.raises(ConfigurationError, match="are both strategy"):
        load_all(f"{path},{write(python_cross())}:PythonCross")


def test_code_hash_is_of_the_source_that_was_loaded(write: Write) -> None:
    loaded = load(f"{write(python_cross())}:PythonCross")
    other = load(f"{write(python_cross() + '# Changed.')}:PythonCross")
    assert loaded.code_hash == load(f"{write(python_cross())}:PythonCross").code_hash
    assert loaded.code_hash != other.code_hash


def test_step_is_given_its_last_state_and_equals_what_was_recorded(write: Write) -> None:
    loaded = load(f"{write(python_cross())}:PythonCross")
    instance = start(loaded, {"fast_s": 5, "slow_s": 30.0, "quantity": 100}, None)
    at = datetime(2020, 1, 1, tzinfo=UTC)
    first = instance.advance(StepInput(at, (100.0,)))
    assert first == Step(
        None,
        [0],
        None,
        {"as_of": at.isoformat(timespec="microseconds"), "fast": 100.0, "slow": 100.0},
    )
    second = instance.advance(StepInput(at + timedelta(seconds=1), (101.0,)))
    assert (second.event, second.quantities) == ("cross", [100])
    assert second.body["fast"] == 100.0 + (101.0 - 100.0) * (1 - math.exp(-1 / 5))
    assert instance.stands_at(json.loads(json.dumps(second.document())))
    assert not instance.stands_at(first.document())
