"""Every query of every Grafana dashboard, run as the role that Grafana uses."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias

import psycopg
import pytest
import yaml
from psycopg import sql

from dashboard_data import add_strategies
from factories import AS_OF, Venue, add_instrument, open_session, order, set_quote, submit

GRAFANA = Path(__file__).parents[2] / "grafana"
DASHBOARDS = sorted((GRAFANA / "dashboards").glob("*.json"))
FROM, TO = AS_OF - timedelta(hours=1), AS_OF + timedelta(hours=1)
# The others may be empty: breaks, alerts and data in quarantine are not part of a good day.
FILLED = {
    "Sessions", "P&L", "Exposure", "Positions", "Traded value", "Prices", "Signals", "Pairs",
    "Latest signals", "Orders by status", "Orders decided", "Why orders were denied", "Orders",
    "Fills", "Latency", "Workers", "Limits in force", "Total P&L", "Open breaks",
    "Spreads", "Instances", "Instances with errors", "Matches", "Rules stopped", "Model alerts",
    "Instance states", "Spreads by minute", "Pair thresholds", "Portfolios", "Portfolio targets",
    "Rules", "Matches by rule", "Rule matches", "Rule errors", "Models", "Drift",
    "Latest predictions", "Alerts of strategies",
}  # fmt: skip

Dashboard: TypeAlias = dict[str, Any]


@dataclass(frozen=True)
class Query:
    """One query and the panel, variable or annotation it belongs to."""

    owner: str
    text: str
    format: str


@cache
def load(path: Path) -> Dashboard:
    """Return a dashboard as Grafana reads it."""
    found: Dashboard = json.loads(path.read_text())
    return found


def panels(dashboard: Dashboard) -> Iterator[dict[str, Any]]:
    """Yield every panel, those inside rows too."""
    for panel in dashboard["panels"]:
        yield panel
        yield from panel.get("panels", [])


def queries(dashboard: Dashboard) -> Iterator[Query]:
    """Yield the queries of panels, variables and annotations."""
    for panel in panels(dashboard):
        for target in panel.get("targets", []):
            yield Query(panel["title"], target["rawSql"], target["format"])
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            yield Query(f"variable {variable['name']}", variable["query"], "table")
    for annotation in dashboard["annotations"]["list"]:
        if "target" in annotation:
            target = annotation["target"]
            yield Query(f"annotation {annotation['name']}", target["rawSql"], target["format"])


def expand(text: str, values: dict[str, str]) -> str:
    """Replace the macros of Grafana's PostgreSQL source and the dashboard's variables."""
    text = re.sub(r"\$__timeFilter\(([\w.]+)\)", rf"\1 between '{FROM}' and '{TO}'", text)
    text = text.replace("$__timeFrom()", f"'{FROM}'").replace("$__timeTo()", f"'{TO}'")
    text = text.replace("$__interval", "30s")
    for name, value in values.items():
        text = re.sub(rf"\$\{{{name}(:\w+)?\}}|\${name}\b", value, text)
    assert "$" not in text, f"a macro or variable nobody sets: {text}"
    return text


def add_signal(conn: psycopg.Connection, session: Any) -> None:
    """Insert a pair that gave a signal in the session's first batch, and that batch's quotes."""
    a, b = add_instrument(conn, "IBM"), add_instrument(conn, "AIG")
    conn.execute("select setval('market.batches_batch_id_seq', 1000)")
    batch = conn.execute(
        """insert into market.batches (session_id, batch_no, from_ts, as_of, quote_count,
            trade_count, digest) values (%s, 1, %s, %s, 2, 0, 0) returning batch_id""",
        (session, AS_OF - timedelta(seconds=1), AS_OF),
    ).fetchone()
    assert batch is not None
    for instrument in (a, b):
        conn.execute(
            "insert into market.batch_quotes values (%s, %s, %s, 1, %s, 1, 1, 1, %s, 0, "
            "999900, 10, 1000100, 10)",
            (AS_OF, session, batch[0], instrument, AS_OF),
        )
    pair = conn.execute(
        """insert into signal.pairs (strategy_id, instrument_a, instrument_b, parameters,
            calibrated_from, calibrated_to, code_version, valid_from)
        select strategy_id, %s, %s, jsonb_populate_record(null::signal.pairs_parameters,
                '{"hedge_ratio": 1, "entry": 2, "exit": 0.5, "stop": 4, "mean": 0, "deviation": 0.01}'),
            '2013-10-07', '2013-10-08', 'test', '2013-10-08'
        from signal.strategies where strategy = 'pairs' returning pair_id, strategy_id""",
        (a, b),
    ).fetchone()
    assert pair is not None
    conn.execute(
        "insert into signal.session_pairs (session_id, pair_id, account, digest) "
        "values (%s, %s, 'main', 'digest')",
        (session, pair[0]),
    )
    conn.execute(
        """insert into signal.signals (as_of, session_id, strategy_id, pair_id, batch_id, batch_no,
            event, target, spread, z_score) values (%s, %s, %s, %s, %s, 1, 'enter_short', -1,
            0.03, 2.5)""",
        (AS_OF, session, pair[1], pair[0], batch[0]),
    )


@pytest.fixture
def day(conn: psycopg.Connection) -> dict[str, str]:
    """Trade a little in a session; return the values of the dashboards' variables."""
    session = open_session(conn, "dashboard")
    set_quote(conn, session)
    bought, *_ = submit(conn, order(session))
    venue = Venue(conn, bought[0])
    venue.report("new")
    venue.fill(60)
    venue.fill(40)
    denied, *_ = submit(conn, order(session, quantity="9999999"))
    assert denied[1] == "denied"
    add_signal(conn, session)
    add_strategies(conn, session)
    conn.execute("select portfolio.mark_session(%s, %s)", (session, AS_OF + timedelta(minutes=1)))
    conn.execute(
        "select ops.beat('gateway', 'gateway', 1, 'host', 'running', '{}', clock_timestamp())"
    )
    return {"session": str(session), "symbol": "all"}


@pytest.fixture
def as_reader(connect_as: Callable[..., psycopg.Connection]) -> psycopg.Connection:
    """Return a connection of the role in the provisioned data source."""
    file = GRAFANA / "provisioning" / "datasources" / "database.yaml"
    (source,) = yaml.safe_load(file.read_text())["datasources"]
    return connect_as(source["user"])


def run(conn: psycopg.Connection, text: str) -> tuple[list[str], list[tuple[Any, ...]]]:
    """Return the columns and rows of a query, in a transaction that may not write."""
    with conn.transaction():
        conn.execute("set transaction read only")
        cursor = conn.execute(sql.SQL(text))  # type: ignore[arg-type]
        return [column.name for column in cursor.description or []], cursor.fetchall()


def test_dashboards_exist() -> None:
    assert DASHBOARDS
    titles = {p["title"] for path in DASHBOARDS for p in panels(load(path))}
    assert titles >= FILLED


@pytest.fixture
def all_results(
    day: dict[str, str], as_reader: psycopg.Connection
) -> dict[str, tuple[Query, list[str], list[tuple[Any, ...]]]]:
    """Run every query once."""
    found = {}
    for path in DASHBOARDS:
        for query in queries(load(path)):
            try:
                found[query.owner] = (query, *run(as_reader, expand(query.text, day)))
            except psycopg.Error as error:
                pytest.fail(f"{path.stem}, {query.owner}: {error}")
    return found


def test_every_query_runs_as_the_readonly_role_and_main_panels_have_rows(
    all_results: dict[str, tuple[Query, list[str], list[tuple[Any, ...]]]],
) -> None:
    empty = {owner for owner, (_, _, rows) in all_results.items() if not rows}
    assert empty.isdisjoint(FILLED | {"variable session", "variable symbol"})
    for owner, (query, columns, rows) in all_results.items():
        assert len(set(columns)) == len(columns), f"{owner}: two columns of one name"
        if query.format == "time_series":
            # What Grafana names series by, and draws them in the order of.
            assert columns == ["time", "metric", "value"], owner
            times = [row[0] for row in rows]
            assert times == sorted(times), owner


def test_every_query_runs_before_there_is_a_session(as_reader: psycopg.Connection) -> None:
    for path in DASHBOARDS:
        for query in queries(load(path)):
            run(as_reader, expand(query.text, {"session": "", "symbol": "all"}))


def test_session_variable_lists_the_session_newest_first(
    all_results: dict[str, tuple[Query, list[str], list[tuple[Any, ...]]]], day: dict[str, str]
) -> None:
    _, columns, rows = all_results["variable session"]
    assert columns == ["__value", "__text"]
    assert rows[0][0] == day["session"]


def test_figures_shown_are_those_of_the_books(
    all_results: dict[str, tuple[Query, list[str], list[tuple[Any, ...]]]],
    conn: psycopg.Connection,
    day: dict[str, str],
) -> None:
    total = conn.execute(
        "select sum(total_pnl) from portfolio.pnl where session_id = %s", (day["session"],)
    ).fetchone()
    assert all_results["Total P&L"][2] == [total]
    _, columns, rows = all_results["Sessions"]
    shown = next(r for r in (dict(zip(columns, row, strict=True)) for row in rows)
                 if r["name"] == "dashboard")  # fmt: skip
    assert (shown["orders"], shown["fills"], shown["batches"]) == (2, 2, 1)
    # The link of a session's name shows it over its own time.
    assert shown["from_ms"] == (AS_OF - timedelta(seconds=1)).timestamp() * 1000
    assert shown["to_ms"] == AS_OF.timestamp() * 1000
    assert dict(all_results["Orders by status"][2]) == {"filled": 1, "denied": 1}


def test_strategies_shown_are_those_of_the_session(
    all_results: dict[str, tuple[Query, list[str], list[tuple[Any, ...]]]],
) -> None:
    def rows(owner: str) -> list[dict[str, Any]]:
        _, columns, found = all_results[owner]
        return [dict(zip(columns, row, strict=True)) for row in found]

    assert [rows(title)[0].popitem()[1] for title in
            ("Instances with errors", "Matches", "Rules stopped", "Model alerts")] == [0, 1, 0, 1]  # fmt: skip
    (instance,) = rows("Instance states")
    assert (instance["strategy"], instance["symbols"]) == ("s_score", "IBM AIG")
    assert [row["value"] for row in rows("Spreads by minute")] == [0.0] * 3
    (portfolio,) = rows("Portfolios")
    assert (portfolio["max positions"], portfolio["stocks"], portfolio["refused"]) == (1, 1, 1)
    assert [(r["what"], r["quantity"], r["refused"]) for r in rows("Portfolio targets")] == [
        ("instance 77", None, "positions"), ("IBM", -300, "")]  # fmt: skip
    (rule,) = rows("Rules")
    assert (rule["rule"], rule["state"], rule["matches"]) == ("any_trade", "watching", 1)
    assert [r["value"] for r in rows("Matches by rule")] == [1]
    (model,) = rows("Models")
    assert (model["state"], model["drifts most"], model["psi"]) == ("drifts", "return_1d", 0.31)
    assert [(r["metric"], r["value"]) for r in rows("Drift")] == [("reversal 1", 0.31)]
    assert [(r["symbol"], r["prediction"]) for r in rows("Latest predictions")] == [("IBM", 0.01)]


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_dashboard_is_consistent(path: Path) -> None:
    dashboard = load(path)
    (source,) = yaml.safe_load(
        (GRAFANA / "provisioning" / "datasources" / "database.yaml").read_text()
    )["datasources"]
    found = list(panels(dashboard))
    assert len({p["id"] for p in found}) == len(found)
    cells: set[tuple[int, int]] = set()
    for panel in found:
        place = panel["gridPos"]
        own = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert place["x"] + place["w"] <= 24
        assert cells.isdisjoint(own), f"{panel['title']} covers another panel"
        cells |= own
        if panel["type"] == "row":
            continue
        assert panel["description"], f"{panel['title']} does not say what it shows"
        assert panel["datasource"] == {"type": source["type"], "uid": source["uid"]}
        assert [t["datasource"] for t in panel["targets"]] == [panel["datasource"]]


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_overrides_name_columns_that_exist(
    path: Path, all_results: dict[str, tuple[Query, list[str], list[tuple[Any, ...]]]]
) -> None:
    for panel in panels(load(path)):
        columns = all_results[panel["title"]][1] if panel["type"] != "row" else []
        overrides = panel.get("fieldConfig", {}).get("overrides", [])
        named = {o["matcher"]["options"] for o in overrides}
        assert named <= set(columns), panel["title"]
