"""The pairs step function against its contract."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import psycopg
import pytest
from psycopg.types.json import Jsonb

from pair_market import PARAMETERS

T0 = datetime(2013, 10, 8, 14, 0, tzinfo=UTC)
B = 50.0
Input = tuple[float, float | None, float | None]


def mid_at(z: float, mean: float = 0.0, deviation: float = 0.001) -> float:
    """Return the mid of A that puts the spread (hedge ratio 1, B at 50) at a z-score."""
    return B * math.exp(mean + z * deviation)


def run(conn: psycopg.Connection, inputs: list[Input], **changes: float | None) -> list[Any]:
    """Step over (seconds, mid_a, mid_b); the states as named rows."""
    with conn.cursor(row_factory=psycopg.rows.namedtuple_row) as cursor:
        return cursor.execute(
            "select * from signal.trace_pair(%s::timestamptz[], %s::float8[], %s::float8[], "
            "signal.read_parameters(null, %s))",
            (
                [T0 + timedelta(seconds=s) for s, _, _ in inputs],
                [a for _, a, _ in inputs],
                [b for _, _, b in inputs],
                Jsonb(PARAMETERS | {"mean": 0.0, "half_life_s": 1e9} | changes),
            ),
        ).fetchall()


def path(*scores: float) -> list[Input]:
    """Return one input a second at these z-scores; the first is at the mean."""
    return [(0, B, B)] + [(n, mid_at(z), None) for n, z in enumerate(scores, start=1)]


@pytest.mark.parametrize(
    ("scores", "events"),
    [
        ((2.1,), ["enter_short"]),
        ((-2.1,), ["enter_long"]),
        ((1.9, -1.9), [None, None]),
        ((2.1, 1.0, 0.4), ["enter_short", None, "exit"]),
        # Crossing the mean in one step is an exit, and the other side waits for the next input.
        ((2.1, -2.5, -2.5), ["enter_short", "exit", "enter_long"]),
        ((2.1, 6.1, 3.0, 0.6, 0.4, 2.1), ["enter_short", "stop", None, None, None, "enter_short"]),
        # After a stop above, the spread below the mean has come back as well.
        ((2.1, 6.1, -2.5, -2.5), ["enter_short", "stop", None, "enter_long"]),
        # Too far from the mean to start: no entry on the way back.
        ((7.0, 3.0, 0.4, 2.1), [None, None, None, "enter_short"]),
    ],
)
def test_step_pairs_path_of_scores_emits_events(
    conn: psycopg.Connection, scores: tuple[float, ...], events: list[str | None]
) -> None:
    assert [s.event for s in run(conn, path(*scores))][1:] == events


def test_step_pairs_z_at_each_threshold_counts_as_reached(conn: psycopg.Connection) -> None:
    # With B at 1 and the deviation a power of two, ln and the division are the only roundings; the
    # thresholds are set to the very z-scores that the function computes.
    inputs: list[Input] = [(0, 1.0, 1.0), (1, 1.25, None), (2, 1.0625, None)]
    entry, exit_ = (s.z_score for s in run(conn, inputs, deviation=0.125, entry=9, stop=10)[1:])
    reached = run(conn, inputs, deviation=0.125, entry=entry, exit=exit_, stop=10)
    assert [s.event for s in reached] == [None, "enter_short", "exit"]
    missed = run(conn, inputs, deviation=0.125, entry=math.nextafter(entry, 9), exit=0.1, stop=10)
    assert [s.event for s in missed] == [None, None, None]
    inputs = [inputs[0], (1, 1.0625, None), (2, 1.25, None)]
    entry, stop = (s.z_score for s in run(conn, inputs, deviation=0.125, entry=9, stop=10)[1:])
    stopped = run(conn, inputs, deviation=0.125, entry=entry, exit=0.1, stop=stop)
    assert [s.event for s in stopped] == [None, "enter_short", "stop"]


def test_step_pairs_mean_follows_with_its_half_life(conn: psycopg.Connection) -> None:
    states = run(
        conn, [(0, B, B), (1, mid_at(1), None), (61, mid_at(1), None)], half_life_s=60, warm_up_s=0
    )
    # The spread jumped at 1 s and was held for one half-life.
    assert states[1].mean == 0
    assert states[2].mean == pytest.approx(0.0005, rel=1e-12)


def test_step_pairs_unchanged_inputs_do_not_move_the_mean(conn: psycopg.Connection) -> None:
    ends: list[Input] = [(0, B, B), (1, mid_at(1), None), (31, mid_at(1.2), None)]
    between: list[Input] = [(n, mid_at(1), B) for n in range(2, 31)]
    sparse = run(conn, ends, half_life_s=60)[-1]
    dense = run(conn, [*ends[:2], *between, ends[2]], half_life_s=60)[-1]
    assert dense.mean == pytest.approx(sparse.mean, rel=1e-12)


def test_step_pairs_without_mean_warms_up_before_trading(conn: psycopg.Connection) -> None:
    inputs: list[Input] = [(0, B, B), (19, mid_at(2.5), None), (20, mid_at(2.5), None)]
    assert [s.event for s in run(conn, inputs, mean=None)] == [None, None, "enter_short"]


def test_step_pairs_first_spread_far_from_mean_starts_anew(conn: psycopg.Connection) -> None:
    states = run(conn, [(0, mid_at(2.5), B), (1, mid_at(2.5), None)])
    assert [s.event for s in states] == [None, None]
    assert states[0].mean == states[0].spread
    assert states[0].warm_since == T0


def test_step_pairs_after_a_gap_of_one_leg_starts_anew(conn: psycopg.Connection) -> None:
    inputs: list[Input] = [
        (0, B, B),
        *[(n, mid_at(0.1), None) for n in range(60, 301, 60)],
        (301, None, B * math.exp(-0.003)),  # B comes back 301 s later, three deviations away
        (310, mid_at(0.1), B * math.exp(-0.003)),
    ]
    states = run(conn, inputs)
    assert [s.event for s in states] == [None] * len(inputs)
    assert states[-2].mean == states[-2].spread
    kept = run(conn, inputs, max_gap_s=302)
    assert kept[-2].event == "enter_short"


def test_step_pairs_in_warm_up_after_a_gap_keeps_the_position(conn: psycopg.Connection) -> None:
    inputs = [*path(2.1), (400, mid_at(0), B), (410, mid_at(0), B), (421, mid_at(0), B)]
    states = run(conn, inputs)
    assert [s.target for s in states] == [0, -1, -1, -1, 0]
    assert states[-1].event == "exit"


@pytest.mark.parametrize(
    ("hedge_ratio", "quantity_b"), [(1.0, 200), (0.5, 100), (-1.0, -200), (1.003, 200)]
)
def test_step_pairs_entry_sizes_leg_b_by_the_hedge_ratio(
    conn: psycopg.Connection, hedge_ratio: float, quantity_b: int
) -> None:
    mean = math.log(B) - hedge_ratio * math.log(B)
    state = run(conn, path(2.1), hedge_ratio=hedge_ratio, mean=mean)[-1]
    assert (state.event, state.quantity_a, state.quantity_b) == ("enter_short", -199, quantity_b)


def test_step_pairs_notional_below_one_unit_never_enters(conn: psycopg.Connection) -> None:
    state = run(conn, path(2.1), notional=49)[-1]
    assert (state.event, state.target, state.quantity_a, state.quantity_b) == (None, 0, 0, 0)


@pytest.mark.parametrize(
    ("as_of", "mid_a", "mid_b"),
    [
        (None, 50.0, 50.0),
        ("infinity", 50.0, 50.0),
        ("2013-10-08 13:59:59Z", 50.0, 50.0),
        ("2013-10-08 14:10:00Z", None, None),
        ("2013-10-08 14:10:00Z", 0.0, 50.0),
        ("2013-10-08 14:10:00Z", -1.0, None),
        ("2013-10-08 14:10:00Z", math.nan, 50.0),
        ("2013-10-08 14:10:00Z", 50.0, math.inf),
    ],
)
def test_step_pairs_impossible_input_leaves_the_state(
    conn: psycopg.Connection, as_of: str | None, mid_a: float | None, mid_b: float | None
) -> None:
    row = conn.execute(
        """with p as (select signal.read_parameters(null, %s) as p),
           s as (select signal.step_pairs(signal.step_pairs(null,
                   (%s, 50, 50)::signal.pairs_input, p), (%s, %s, null)::signal.pairs_input, p) as s
               from p)
           select (s.s).event, jsonb_set(to_jsonb(s.s), '{event}', 'null')
                   = to_jsonb(signal.step_pairs(s.s, (%s::timestamptz, %s, %s)::signal.pairs_input, p.p))
           from s, p""",
        (
            Jsonb(PARAMETERS | {"mean": 0.0}), T0, T0 + timedelta(seconds=1), mid_at(2.1),
            as_of, mid_a, mid_b,
        ),
    ).fetchone()  # fmt: skip
    assert row == ("enter_short", True)


def test_step_pairs_very_long_pause_does_not_underflow(conn: psycopg.Connection) -> None:
    inputs: list[Input] = [(0, B, B), (1, mid_at(1), None), (1e6, mid_at(1), B)]
    last = run(conn, inputs, half_life_s=0.001, max_gap_s=1e9)[-1]
    assert last.mean == pytest.approx(last.spread)


def test_step_pairs_is_immutable(conn: psycopg.Connection) -> None:
    rows = conn.execute(
        "select provolatile::text from pg_proc where proname = 'step_pairs'"
    ).fetchall()
    assert rows == [("i",)]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"entyr": 2}, 'unknown parameter "entyr"'),
        ({"entry": "two"}, "not a number"),
        ({"entry": 0.4}, "0 <= exit < entry < stop"),
        ({"deviation": 0}, "deviation"),
        ({"deviation": "NaN"}, "deviation"),
        ({"hedge_ratio": None}, "hedge_ratio"),
        ({"mean": "Infinity"}, "mean"),
        ({"half_life_s": -1}, "half_life_s"),
        ({"warm_up_s": None}, "warm_up_s"),
        ({"notional": 1e10}, "notional"),
    ],
)
def test_read_parameters_wrong_value_is_named(
    conn: psycopg.Connection, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(psycopg.Error, match=message) as caught:
        conn.execute("select signal.read_parameters(null, %s)", (Jsonb(PARAMETERS | changes),))
    assert caught.value.sqlstate == "TT001"


def test_step_pairs_position_held_too_long_is_closed_and_waits_like_after_a_stop(
    conn: psycopg.Connection,
) -> None:
    scores = (2.1, 1.5, 1.5, 2.1, 0.4, 2.1)
    states = run(conn, path(*scores), max_holding_s=2)
    assert [s.event for s in states][1:] == [
        "enter_short", None, "time_stop", None, None, "enter_short",
    ]  # fmt: skip
    assert (states[3].target, states[3].quantity_a, states[3].stopped) == (0, 0, 1)
    # An exit or a stop due at the same time is called what it is.
    assert run(conn, path(2.1, 1.5, 0.4), max_holding_s=2)[-1].event == "exit"
    assert run(conn, path(2.1, 1.5, 6.5), max_holding_s=2)[-1].event == "stop"


def test_step_pairs_cool_down_waits_after_every_close(conn: psycopg.Connection) -> None:
    scores = (2.1, 0.4, 2.1, -2.1, 2.1, 2.1)
    events = [s.event for s in run(conn, path(*scores), cool_down_s=3)][1:]
    assert events == ["enter_short", "exit", None, None, "enter_short", None]
    events = [s.event for s in run(conn, path(*scores))][1:]
    assert events == ["enter_short", "exit", "enter_short", "exit", "enter_short", None]


def test_step_pairs_without_new_parameters_keeps_what_was_before(conn: psycopg.Connection) -> None:
    states = run(conn, path(2.1, 0.4, 2.1, 6.5))
    assert {(s.entered_at, s.closed_at) for s in states} == {(None, None)}


@pytest.mark.parametrize(
    ("name", "value"),
    [("max_holding_s", 0), ("max_holding_s", -1), ("max_holding_s", "NaN"), ("cool_down_s", -1),
     ("cool_down_s", "Infinity")],
)  # fmt: skip
def test_read_parameters_time_stop_or_cool_down_out_of_range_is_refused(
    conn: psycopg.Connection, name: str, value: object
) -> None:
    with pytest.raises(psycopg.Error, match=name) as caught:
        conn.execute(
            "select signal.read_parameters(null, %s)",
            (Jsonb(PARAMETERS | {"mean": 0, name: value}),),
        )
    assert caught.value.sqlstate == "TT001"


def test_pair_digest_without_new_parameters_is_that_of_the_ten_old_ones(
    conn: psycopg.Connection,
) -> None:
    row = conn.execute(
        """with p as (
               select jsonb_populate_record(null::signal.pairs, jsonb_build_object(
                   'strategy_id', 1, 'instrument_a', 2, 'instrument_b', 3, 'parameters', jsonb_build_object(
                       'hedge_ratio', 1.5, 'deviation', 0.25, 'entry', 2, 'exit', 0.5, 'stop', 6,
                       'half_life_s', 60, 'warm_up_s', 20, 'max_gap_s', 300, 'notional', 10000))) as pair)
           select signal._pair_digest(p.pair),
               md5(int4send(1) || int4send(2) || int4send(3) || int4send(10)
                   || (select string_agg(int4send(701) || coalesce(
                           int4send(8) || float8send(u.x), int4send(-1)), '' order by u.n)
                       from unnest(array[1.5, null, 0.25, 2, 0.5, 6, 60, 20, 300, 10000]::float8[])
                           with ordinality u (x, n)))
           from p"""
    ).fetchone()
    assert row is not None
    assert row[0] == row[1]


@pytest.mark.parametrize("seed", range(4))
def test_fold_pairs_over_any_prices_equals_the_step_to_the_bit(
    conn: psycopg.Connection, seed: int
) -> None:
    draw = np.random.default_rng(seed)
    count = 3000
    seconds = np.cumsum(
        draw.choice([0.000001, 1, 37.5, 4000, 90000], count, p=[0.1, 0.5, 0.3, 0.09, 0.01])
    )
    # Time goes backwards now and then, which the step refuses.
    seconds[draw.random(count) < 0.01] -= 5000
    noise = np.exp(draw.standard_t(3, (2, count)) * 0.0012)
    mids = B * noise
    mids[draw.random((2, count)) < 0.15] = math.nan
    mids[draw.random((2, count)) < 0.005] = -1
    mids[draw.random((2, count)) < 0.005] = math.inf
    rows = conn.execute(
        """with input as (
               select u.* from unnest(%(times)s::timestamptz[], %(a)s::float8[], %(b)s::float8[])
                   with ordinality u (as_of, a, b, n)
           ),
           parameters as (select signal.read_parameters(null, %(parameters)s) as p),
           stepped as (
               select n, signal.run_pairs(
                          row(as_of, nullif(a, 'NaN'), nullif(b, 'NaN'))::signal.pairs_input, p)
                          over (order by n rows unbounded preceding) as state
               from input, parameters where a <> 'NaN' or b <> 'NaN'
           ),
           folded as (
               select f.* from parameters, signal._fold_pairs(%(times)s, %(a)s, %(b)s, p, true) f
           ),
           events as (
               select f.* from parameters, signal._fold_pairs(%(times)s, %(a)s, %(b)s, p, false) f
           )
           select (s.state).event, record_send(s.state) = record_send(f.state),
                  record_send(s.state) = record_send(e.state)
           from stepped s full join folded f on f.moment = s.n full join events e on e.moment = s.n""",
        {
            "times": [T0 + timedelta(seconds=float(s)) for s in seconds],
            "a": mids[0].tolist(),
            "b": mids[1].tolist(),
            "parameters": Jsonb(
                PARAMETERS
                | {
                    "mean": None if seed % 2 else 0.0,
                    "stop": 3.0,
                    "half_life_s": 5000.0,
                    "warm_up_s": 60.0,
                }
                | ({"max_holding_s": 900.0, "cool_down_s": 120.0} if seed > 1 else {})
            ),
        },
    ).fetchall()
    assert all(same for _, same, _ in rows)
    assert all(same if event else same is None for event, _, same in rows)
    expected = {"enter_long", "enter_short", "exit", "stop"} | (
        {"time_stop"} if seed > 1 else set()
    )
    assert {event for event, _, _ in rows if event} == expected
