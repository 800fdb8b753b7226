"""The strategy s_score against numpy."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import psycopg
import pytest
from psycopg.rows import namedtuple_row
from psycopg.types.json import Jsonb

from pair_market import NEXT_OPEN, OPEN, load_wave, open_replay, write_batches

T0 = datetime(2013, 10, 8, 14, 0, tzinfo=UTC)
WINDOW = 60
PARAMETERS: dict[str, Any] = {
    "sample_s": 60,
    "window": WINDOW,
    "entry": 1.25,
    "exit_long": 0.5,
    "exit_short": 0.75,
    "max_reversion": 30,
    "notional": 100_000,
}
Series = np.ndarray[Any, Any]


def market(n: int = 400, seed: int = 5, speed: float = 0.25) -> tuple[Series, Series]:
    """Return mids of A and B: A's residual on B reverts with a speed per step."""
    rng = np.random.default_rng(seed)
    factor = rng.normal(0, 0.002, n)
    level, residual = 0.0, []
    for noise in rng.normal(0, 0.001, n):
        level += -speed * level + noise
        residual.append(level)
    leg_b = 50 * np.exp(np.cumsum(factor))
    leg_a = 80 * np.exp(np.cumsum(0.8 * factor) + np.array(residual))
    return leg_a, leg_b


def fit(leg_a: Series, leg_b: Series) -> tuple[float, float, float, float, float] | None:
    """Avellaneda and Lee's appendix, by numpy: beta, reversion, mean, deviation, score."""
    a, b = np.diff(leg_a) / leg_a[:-1], np.diff(leg_b) / leg_b[:-1]
    beta, alpha = np.polyfit(b, a, 1)
    x = np.cumsum(a - alpha - beta * b)
    slope, intercept = np.polyfit(x[:-1], x[1:], 1)
    if not 0 < slope < 1:
        return None
    noise = x[1:] - intercept - slope * x[:-1]
    mean = intercept / (1 - slope)
    deviation = np.sqrt(np.var(noise) / (1 - slope**2))
    return beta, -1 / np.log(slope), mean, deviation, (x[-1] - mean) / deviation


def run(
    conn: psycopg.Connection, leg_a: list[Any], leg_b: list[Any], step_s: float = 60, **changes: Any
) -> list[Any]:
    with conn.cursor(row_factory=namedtuple_row) as cursor:
        return cursor.execute(
            """select (s.state).* from (
                   select u.n, signal.run_s_score(row(u.t, array[u.a, u.b], null)::signal.step_input,
                       jsonb_populate_record(null::signal.s_score_parameters, %s))
                       over (order by u.n) as state
                   from unnest(%s::timestamptz[], %s::float8[], %s::float8[])
                       with ordinality u (t, a, b, n)) s order by s.n""",
            (
                Jsonb(PARAMETERS | changes),
                [T0 + timedelta(seconds=step_s * k) for k in range(len(leg_a))],
                leg_a,
                leg_b,
            ),
        ).fetchall()


def test_s_score_every_fit_equals_numpy(conn: psycopg.Connection) -> None:
    leg_a, leg_b = market()
    states = run(conn, leg_a.tolist(), leg_b.tolist())
    assert all(s.score is None for s in states[:WINDOW])
    compared = 0
    for k in range(WINDOW, len(states)):
        expected = fit(leg_a[k - WINDOW : k + 1], leg_b[k - WINDOW : k + 1])
        found = states[k]
        if expected is None:
            assert found.score is None
            continue
        compared += 1
        # X ends at a sum of residuals that is zero but for rounding.
        assert (found.beta, found.reversion, found.mean, found.deviation) == pytest.approx(
            expected[:4], rel=1e-8
        )
        assert found.score == pytest.approx(expected[4], rel=1e-8, abs=1e-9)
    assert compared > 300


def test_s_score_trades_by_the_papers_thresholds(conn: psycopg.Connection) -> None:
    leg_a, leg_b = market()
    states = run(conn, leg_a.tolist(), leg_b.tolist())
    target, entries, exits = 0, 0, 0
    for k, s in enumerate(states):
        event = None
        if target == 0 and s.score is not None and s.reversion <= 30 and abs(s.score) >= 1.25:
            target = 1 if s.score < 0 else -1
            event = "enter_long" if target > 0 else "enter_short"
            quantities = [
                target * int(100_000 / leg_a[k]),
                -target * int(100_000 * s.beta / leg_b[k]),
            ]
            entries += 1
        elif (
            target and s.score is not None and (s.score >= -0.5 if target > 0 else s.score <= 0.75)
        ):
            target, event, quantities = 0, "exit", [0, 0]
        elif target and s.score is None:
            target, event, quantities = 0, "no_fit", [0, 0]
        exits += event == "exit"
        assert (s.event, s.target) == (event, target), k
        if event:
            assert s.quantities == quantities
    assert entries > 10
    assert exits > 10


def test_s_score_slow_reversion_is_not_entered(conn: psycopg.Connection) -> None:
    leg_a, leg_b = market()
    states = run(conn, leg_a.tolist(), leg_b.tolist(), max_reversion=0.1)
    assert max(abs(s.score) for s in states if s.score is not None) > 1.25
    assert not any(s.event for s in states)


def test_s_score_samples_no_closer_than_told(conn: psycopg.Connection) -> None:
    leg_a, leg_b = market(240)
    dense = run(conn, leg_a.tolist(), leg_b.tolist(), step_s=20, window=20)
    sparse = run(conn, leg_a[::3].tolist(), leg_b[::3].tolist(), window=20)
    assert [s.score for s in dense[::3]] == [s.score for s in sparse]
    assert {s.event for k, s in enumerate(dense) if k % 3} == {None}


@pytest.mark.parametrize("kind", ["constant a", "constant b", "collinear"])
def test_s_score_constant_or_collinear_legs_have_no_score(
    conn: psycopg.Connection, kind: str
) -> None:
    leg_a, leg_b = market(200)
    if kind == "constant a":
        leg_a = np.full(200, 80.0)
    elif kind == "constant b":
        leg_b = np.full(200, 50.0)
    else:
        leg_a = 3 * leg_b
    states = run(conn, leg_a.tolist(), leg_b.tolist())
    assert {s.score for s in states} == {None}
    assert {s.event for s in states} == {None}


def test_s_score_position_is_closed_when_there_is_no_fit_any_more(conn: psycopg.Connection) -> None:
    leg_a, leg_b = market()
    states = run(conn, leg_a.tolist(), leg_b.tolist())
    entry = next(k for k, s in enumerate(states) if s.event and s.event.startswith("enter"))
    frozen = [leg_b[entry]] * 200
    after = run(
        conn, leg_a[: entry + 1].tolist() + [leg_a[entry]] * 200, leg_b[: entry + 1].tolist() + frozen,
        exit_long=0, exit_short=0,
    )[entry + 1 :]  # fmt: skip
    events = [s.event for s in after if s.event]
    assert events
    assert events[-1] in ("no_fit", "exit")
    assert after[-1].score is None
    assert after[-1].target == 0


def test_s_score_input_that_cannot_be_right_changes_nothing(conn: psycopg.Connection) -> None:
    leg_a, leg_b = market(120)
    clean = run(conn, leg_a.tolist(), leg_b.tolist())
    wrong = [0.0, -1.0, float("nan"), float("inf"), None]
    dirty_a: list[Any] = [*leg_a[:80].tolist(), *wrong, *leg_a[80:].tolist()]
    dirty_b: list[Any] = [*leg_b[:80].tolist(), *wrong, *leg_b[80:].tolist()]
    dirty = run(conn, dirty_a, dirty_b, step_s=60)
    assert [s.score for s in clean[80:]] == [s.score for s in dirty[85:]]


def test_s_score_session_trades_live_with_parity(conn: psycopg.Connection) -> None:
    load_wave(conn, NEXT_OPEN, 120)
    conn.execute(
        "select signal.save_instance('s_score', array['A', 'B'], 'test', %s, '{}', %s)",
        (Jsonb(PARAMETERS | {"sample_s": 1, "window": 20}), OPEN),
    )
    session = open_replay(conn, NEXT_OPEN, 120)
    conn.execute("select signal.bind_pairs(%s)", (session,))
    for batch in write_batches(conn, session, NEXT_OPEN, 120):
        conn.execute("select signal.on_batch(%s)", (batch,))
    rows = conn.execute(
        "select event, target, z_score, spread from signal.signals order by signal_id"
    ).fetchall()
    assert len(rows) > 2
    for event, target, score, spread in rows:
        assert spread is None
        assert (target == 0) == (event in ("exit", "no_fit"))
        assert event != "enter_long" or score <= -1.25
        assert event != "enter_short" or score >= 1.25
    assert conn.execute("select * from backtest.parity(%s)", (session,)).fetchall() == []


def test_s_score_is_the_same_live_through_jsonb_as_folded(conn: psycopg.Connection) -> None:
    leg_a, leg_b = market(150)
    folded = run(conn, leg_a.tolist(), leg_b.tolist())
    state = None
    for k in range(150):
        row = conn.execute(
            """select to_jsonb(signal.step_s_score(
                   jsonb_populate_record(null::signal.s_score_state, %s),
                   row(%s, array[%s, %s]::float8[], null)::signal.step_input,
                   jsonb_populate_record(null::signal.s_score_parameters, %s)))""",
            (state if state is None else Jsonb(state), T0 + timedelta(seconds=60 * k),
             float(leg_a[k]), float(leg_b[k]), Jsonb(PARAMETERS)),
        ).fetchone()  # fmt: skip
        assert row is not None
        state = row[0]
        assert state["score"] == folded[k].score
        assert state["returns_a"] == folded[k].returns_a
