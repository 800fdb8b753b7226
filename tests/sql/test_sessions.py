"""Sessions: what cannot be is refused when one is opened."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from factories import open_session


@pytest.mark.parametrize(
    "parameters",
    [
        {"speed": "fast"},
        {"speed": "0"},
        {"speed": -1},
        {"speed": None},
        {"speed": "NaN"},
        {"order_type": "stop"},
        {"time_in_force": "gtc"},
        {"limit_offset_bps": "wide"},
        {"limit_offset_bps": "-5"},
    ],
)
def test_session_with_an_unusable_parameter_is_refused(
    conn: psycopg.Connection, parameters: dict[str, Any]
) -> None:
    with pytest.raises(psycopg.Error, match="session parameter") as caught:
        open_session(conn, **parameters)
    assert caught.value.sqlstate == "TT001"


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"speed": "max"},
        {"speed": 0.001},
        {"speed": "1e3"},
        {"limit_offset_bps": 0, "order_type": "market", "time_in_force": "ioc", "note": None},
    ],
)
def test_session_with_usable_parameters_opens(
    conn: psycopg.Connection, parameters: dict[str, Any]
) -> None:
    assert open_session(conn, **parameters)
