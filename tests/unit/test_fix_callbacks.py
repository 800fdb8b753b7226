"""What the engine may send again by itself: questions, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest
import quickfix

from tsdb_trader.fix.session import _Callbacks


@pytest.fixture
def callbacks() -> Any:
    made = _Callbacks(None, "S", None, lambda: True, ())  # type: ignore[arg-type]
    yield made
    made.this.disown()


def message(kind: str, *, repeated: bool) -> Any:
    made = quickfix.Message()
    made.getHeader().setField(quickfix.StringField(35, kind))
    made.setField(quickfix.StringField(11, "A-1"))
    if repeated:
        made.getHeader().setField(quickfix.StringField(43, "Y"))
    return made


@pytest.mark.parametrize("kind", ["D", "G", "F", "q"])
def test_order_replace_cancel_or_mass_cancel_marked_as_repeated_never_leaves(
    callbacks: Any, kind: str
) -> None:
    callbacks.toApp(message(kind, repeated=False), None)
    assert callbacks.captured.keys() == {"A-1"}
    with pytest.raises(quickfix.DoNotSend):
        callbacks.toApp(message(kind, repeated=True), None)


@pytest.mark.parametrize("kind", ["H", "AF", "AD"])
def test_question_marked_as_repeated_leaves(callbacks: Any, kind: str) -> None:
    callbacks.toApp(message(kind, repeated=True), None)
    assert callbacks.captured == {}
