"""Value at risk of what a session holds, its parts and its backtest, against numpy and scipy."""

from __future__ import annotations

import uuid
from datetime import UTC, date, datetime, timedelta

import numpy as np
import psycopg
import pytest
from scipy import stats

from daily_bars import add_bars
from factories import add_instrument, open_session, order, set_quote, submit
from tsdb_trader.research import factors

SYMBOLS = ("AAA", "BBB", "CCC", "DDD")
DAYS = 120
WINDOW = 100
FIRST = date(2015, 1, 5)
Z = stats.norm.ppf(0.99)


def dates(count: int = DAYS) -> list[date]:
    weekdays = (FIRST + timedelta(days=n) for n in range(3 * count))
    return [day for day in weekdays if day.weekday() < 5][:count]


def closes(seed: int = 1) -> np.ndarray:
    """Return prices of four decimals, days by instruments, that move together."""
    rng = np.random.default_rng(seed)
    moves = rng.normal(0, 0.012, (DAYS, 1)) + rng.normal(0, 0.01, (DAYS, len(SYMBOLS)))
    return np.round(50 * np.exp(np.cumsum(moves, axis=0)), 4)


def morning_after(day: date) -> datetime:
    """Return a time at which the day's bar, which ends at midnight in New York, is known."""
    return datetime(day.year, day.month, day.day, 14, 30, tzinfo=UTC) + timedelta(days=1)


def hold(
    conn: psycopg.Connection, session: uuid.UUID, symbol: str, quantity: int, *, strategy: int = 1
) -> None:
    conn.execute(
        """insert into portfolio._positions (session_id, account, strategy_id, instrument_id, quantity)
           values (%s, 'main', %s, %s, %s)""",
        (session, strategy, add_instrument(conn, symbol), quantity),
    )


def prepare(conn: psycopg.Connection, as_of: datetime, **settings: object) -> None:
    chosen = ", ".join(f'"{k}": {v}' for k, v in ({"window_days": WINDOW} | settings).items())
    conn.execute("select risk.set_var_settings(%s, 'test')", (f"{{{chosen}}}",))
    factors.refresh(conn)
    factors.prepare(conn, as_of)


@pytest.fixture
def market(conn: psycopg.Connection) -> tuple[uuid.UUID, np.ndarray, datetime]:
    """Return a session with quotes, the prices behind the history, and a time after the last."""
    prices = closes()
    days = dates()
    for n, symbol in enumerate(SYMBOLS):
        add_bars(conn, add_instrument(conn, symbol), dict(zip(days, prices[:, n], strict=True)))
    as_of = morning_after(days[-1])
    session = open_session(conn)
    for symbol in SYMBOLS:
        set_quote(conn, session, symbol, 99.0, 101.0, ts=as_of)
    return session, prices, as_of


def returns(prices: np.ndarray) -> np.ndarray:
    return (prices[1:] / prices[:-1] - 1)[-WINDOW:]


POSITIONS = {"AAA": 300, "BBB": -200, "CCC": 50}
VALUES = np.array([30_000.0, -20_000.0, 5_000.0, 0.0])


def test_var_at_is_that_of_numpy(conn, market):
    session, prices, as_of = market
    for symbol, quantity in POSITIONS.items():
        hold(conn, session, symbol, quantity)
    prepare(conn, as_of)
    pnl = returns(prices) @ VALUES
    deviation = np.sqrt((pnl**2).mean())
    variance = deviation**2
    for p in pnl:
        variance = 0.94 * variance + 0.06 * p**2
    tail = stats.norm.pdf(Z) / 0.01
    found = {
        row[0]: row[1:]
        for row in conn.execute(
            """select method, var, expected_shortfall, positions, observations, reason
               from risk.var_current where session_id = %s and strategy_id is null""",
            (session,),
        )
    }
    for method, var, shortfall in (
        ("historical", -np.quantile(pnl, 1 - 0.99), -np.sort(pnl)[0]),
        ("parametric", Z * deviation, tail * deviation),
        ("ewma", Z * np.sqrt(variance), tail * np.sqrt(variance)),
    ):
        assert found[method][:2] == pytest.approx((var, shortfall), rel=1e-6)
        assert found[method][2:] == (3, WINDOW, None)
    # 5,000 paths: the standard error of the quantile is 2.3% of it.
    assert found["monte_carlo"][0] == pytest.approx(Z * deviation, rel=0.08)


def test_monte_carlo_by_factors_has_the_draws_of_the_pure_function(conn, market):
    session, prices, as_of = market
    for symbol, quantity in POSITIONS.items():
        hold(conn, session, symbol, quantity)
    prepare(conn, as_of, factors=2, paths=500, seed=7)
    model = factors.principal_components(returns(prices), 2)
    pnl = returns(prices) @ VALUES
    loadings = model.loadings.T @ VALUES
    rest = np.sqrt((pnl**2).mean() - loadings @ loadings)
    [(stored,)] = conn.execute(
        "select var from risk.var_at(%s, %s) where method = 'monte_carlo' and strategy_id is null",
        (session, as_of),
    )
    [(drawn,)] = conn.execute(
        "select risk.var_monte_carlo(%s::float8[], %s::float8[], 0.99, 500, 7)",
        ([*loadings.tolist(), float(rest)], np.eye(3).tolist()),
    )
    assert stored == pytest.approx(drawn, rel=1e-5)


def test_components_add_up_and_are_those_of_the_pure_function(conn, market):
    session, prices, as_of = market
    for symbol, quantity in POSITIONS.items():
        hold(conn, session, symbol, quantity)
    prepare(conn, as_of)
    used = returns(prices)[:, :3]
    expected = conn.execute(
        "select marginal, component, incremental from risk.var_components(%s::float8[], %s::float8[], 0.99)",
        (VALUES[:3].tolist(), (used.T @ used / WINDOW).tolist()),
    ).fetchall()
    found = conn.execute(
        """select marginal, component, incremental, var from risk.var_components_current
           where session_id = %s and strategy_id is null order by symbol""",
        (session,),
    ).fetchall()
    assert len(found) == 3
    for row, figures in zip(found, expected, strict=True):
        assert row[:3] == pytest.approx(figures, rel=1e-5)
    assert sum(row[1] for row in found) == pytest.approx(found[0][3], rel=1e-6)


@pytest.mark.parametrize("held", [{}, POSITIONS])
@pytest.mark.parametrize("value", [10_000.0, -25_000.0, 0.0])
def test_increment_is_the_difference_of_two_revaluations(conn, market, held, value):
    session, prices, as_of = market
    for symbol, quantity in held.items():
        hold(conn, session, symbol, quantity)
    # As many factors as instruments: the model is the covariance itself.
    prepare(conn, as_of, factors=4)
    before = VALUES if held else np.zeros(4)
    after = before + np.array([value, 0, 0, 0])
    used = returns(prices)
    expected = Z * (np.sqrt(((used @ after) ** 2).mean()) - np.sqrt(((used @ before) ** 2).mean()))
    [(found,)] = conn.execute(
        "select risk._var_increment(%s, 'main', %s, %s, %s)",
        (session, add_instrument(conn, "AAA"), value, as_of),
    )
    assert found == pytest.approx(expected, rel=1e-4, abs=1e-4)
    [(whole,)] = conn.execute(
        "select coalesce(max(var), 0) from risk.var_at(%s, %s) "
        "where method = 'parametric' and strategy_id is null",
        (session, as_of),
    )
    assert whole == pytest.approx(Z * np.sqrt(((used @ before) ** 2).mean()), rel=1e-6)


def test_order_that_adds_more_than_the_limit_of_incremental_var_is_denied(conn, market):
    session, _, as_of = market
    for symbol, quantity in POSITIONS.items():
        hold(conn, session, symbol, quantity)
    prepare(conn, as_of, factors=4)
    spec = order(session, symbol="AAA", quantity="10", limit_price="100.00")
    [(adds,)] = conn.execute(
        "select risk._var_increment(%s, 'main', %s, 1000, %s)",
        (session, add_instrument(conn, "AAA"), as_of),
    )
    assert adds > 0
    set_limit = "select risk.set_limit('incremental_var', '{}', %s::numeric, 'test')"
    conn.execute(set_limit, (float(adds) * 1.0001,))
    assert submit(conn, spec, as_of=as_of)[0][1] == "pending_new"
    conn.execute(set_limit, (float(adds) * 0.9999,))
    [(_, status, reasons)] = submit(conn, spec, as_of=as_of)
    assert (status, [r.split(":")[0] for r in reasons]) == ("denied", ["incremental_var"])


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        ("delete from market.latest_quotes q using ref.instruments i "
         "where i.instrument_id = q.instrument_id and symbol = 'BBB'", "no mark of BBB"),
        ("update market.latest_quotes set ts = ts - interval '5 days'", "the mark of AAA is too old"),
        ("update ref.instruments set currency = 'EUR' where symbol = 'BBB'",
         "BBB: no rate between EUR and USD is known"),
        ("update risk._return_sets set known_at = known_at - interval '8 days'",
         "no history of the last days is prepared"),
        ("delete from risk._windows w using ref.instruments i "
         "where i.instrument_id = w.instrument_id and symbol = 'BBB'", "no history of BBB"),
    ],
)  # fmt: skip
def test_var_with_something_missing_is_null_with_the_reason(conn, market, damage, reason):
    session, _, as_of = market
    for symbol, quantity in POSITIONS.items():
        hold(conn, session, symbol, quantity)
    prepare(conn, as_of)
    conn.execute(damage)
    rows = conn.execute(
        "select var, expected_shortfall, reason from risk.var_at(%s, %s)", (session, as_of)
    ).fetchall()
    assert len(rows) == 8
    assert all(row[:2] == (None, None) and reason in row[2] for row in rows)
    assert conn.execute(
        "select risk._var_increment(%s, 'main', %s, 1000, %s)",
        (session, add_instrument(conn, "AAA"), as_of),
    ).fetchone() == (None,)


def test_var_of_a_short_history_is_null(conn, market):
    session, _, as_of = market
    hold(conn, session, "AAA", 100)
    prepare(conn, as_of, window_days=500)
    rows = conn.execute("select var, reason from risk.var_at(%s, %s)", (session, as_of)).fetchall()
    assert {row for row in rows} == {(None, "AAA: only 119 of 500 days of history")}


def test_returns_follow_splits_and_dividends_and_skip_missing_days(conn):
    stock = add_instrument(conn, "AAA")
    add_bars(conn, stock, {"2015-01-05": 100, "2015-01-06": 48, "2015-01-08": 50})
    for kind, fact in (
        ("splits", '{"symbol": "AAA", "ex_date": "2015-01-06", "new_shares": 2}'),
        ("dividends", '{"symbol": "AAA", "ex_date": "2015-01-07", "amount": 1}'),
    ):
        conn.execute("select ref.record(%s, %s)", (kind, fact))
    refresh = "select risk.refresh_returns('2015-01-01', '2015-01-31')"
    assert conn.execute(refresh).fetchone() == (2,)
    assert conn.execute(refresh).fetchone() == (0,), "nothing changed"
    assert conn.execute(
        "select date::text, simple_return from risk.returns order by 1"
    ).fetchall() == [
        ("2015-01-06", pytest.approx(48 / 50 - 1)),
        ("2015-01-08", pytest.approx(50 / 47 - 1)),
    ]


def test_backtest_counts_exceptions_as_scipy_does(conn, market):
    session, prices, as_of = market
    hold(conn, session, "AAA", 100)
    prepare(conn, as_of, window_days=20)
    days = dates()
    used = prices[1:, 0] / prices[:-1, 0] - 1
    hits = []
    for n in range(40, 60):
        conn.execute("select risk.prepare_var(%s)", (morning_after(days[n]),))
        now = morning_after(days[n])
        if now.date() != days[n + 1]:
            continue
        set_quote(conn, session, "AAA", 99.0, 101.0, ts=now)
        assert conn.execute("select risk.record_var(%s, %s)", (session, now)).fetchone() == (8,)
        assert conn.execute("select risk.record_var(%s, %s)", (session, now)).fetchone() == (0,)
        window = used[n - 20 : n]
        hits.append(used[n] < -Z * np.sqrt((window**2).mean()))
    row = conn.execute(
        """select observations, exceptions, kupiec_p_value, basel_zone from risk.var_backtest
           where basis = 'hypothetical' and method = 'parametric' and strategy_id is null"""
    ).fetchone()
    assert row is not None
    n, x = len(hits), sum(hits)
    ratio = 2 * (stats.binom.logpmf(x, n, x / n) - stats.binom.logpmf(x, n, 0.01))
    assert row == (n, x, pytest.approx(stats.chi2.sf(ratio, 1), rel=1e-6), None)


@pytest.mark.parametrize(
    ("statement", "state"),
    [
        ("select risk.refresh_returns('2015-01-02', '2015-01-01')", "TT001"),
        ("select risk.refresh_returns(null, '2015-01-01')", "TT001"),
        ("select risk.refresh_returns('2015-01-01', '2015-01-02', 'none')", "TT002"),
        ("select risk.prepare_var(null)", "TT001"),
        ("select risk.prepare_var('infinity')", "TT001"),
        ("select * from risk.var_at(gen_random_uuid(), now())", "TT002"),
        ("select * from risk.var_at('00000000-0000-0000-0000-000000000000', null)", "TT001"),
        ("select * from risk.var_at('00000000-0000-0000-0000-000000000000', now(), 1)", "TT001"),
        ("select * from risk.var_components_at(gen_random_uuid(), now())", "TT002"),
        ("select risk.set_var_settings('{\"window_days\": 1}', 'test')", "TT001"),
        ("select risk.set_var_settings('{\"window\": 100}', 'test')", "TT002"),
        ("select risk.set_var_settings('{\"calendar\": \"NONE\"}', 'test')", "TT002"),
        ("select risk.set_var_settings('{}', '')", "TT001"),
        ("select risk.save_factors(99, '{1}', '{{1}}', '{1}')", "TT002"),
        ("select risk.save_factors(99, '{1}', '{{1}}', '{-1}')", "TT001"),
        ("select risk._pack('{401}')", "TT001"),
        ("select risk._pack('{}')", "TT001"),
    ],
)
def test_unusable_input_is_refused(conn, statement, state):
    with pytest.raises(psycopg.Error) as caught:
        conn.execute(statement)
    assert caught.value.sqlstate == state, caught.value


def test_two_feeds_need_a_choice_which_is_kept(conn):
    stock = add_instrument(conn, "AAA")
    add_bars(conn, stock, {"2015-01-05": 100, "2015-01-06": 110})
    add_bars(conn, stock, {"2015-01-05": 100, "2015-01-06": 120}, feed="other")
    refresh = "select risk.refresh_returns('2015-01-01', '2015-01-31'"
    with pytest.raises(psycopg.Error, match="daily, other have daily bars of AAA"):
        conn.execute(refresh + ")")
    assert conn.execute(refresh + ", 'other')").fetchone() == (1,)
    assert conn.execute(refresh + ")").fetchone() == (0,)
    assert conn.execute("select simple_return from risk.returns").fetchone() == (
        pytest.approx(0.2),
    )


def test_packed_vectors_add_and_multiply_element_by_element(conn):
    rng = np.random.default_rng(3)
    one, two = np.round(rng.normal(0, 0.1, (2, 700)), 9)
    [(found,)] = conn.execute(
        "select risk._unpack(risk._pack(%s::float8[]) * 3 - risk._pack(%s::float8[]) * 1000000007, 700)",
        (one.tolist(), two.tolist()),
    )
    assert found == pytest.approx((3 * one - 1_000_000_007 * two).tolist(), rel=1e-9, abs=1e-12)
