"""Dependencies point one way, and each outside library and all SQL text has its place."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = "tsdb_trader"
SOURCE = Path(__file__).parents[2] / "src" / PACKAGE

# From the top down: a module may import what stands in a lower tier, and its own package. Modules
# `_name` directly below the root are helpers of the private server: one tier, "_private".
TIERS: tuple[frozenset[str], ...] = (
    frozenset({"__main__"}),
    frozenset({"cli"}),
    frozenset({"commands"}),
    frozenset({"demo"}),
    frozenset({"workers"}),
    frozenset({"backtest", "fix", "refdata", "research", "venue"}),
    frozenset({"feeds"}),
    frozenset({"clearing", "rollups", "seals"}),
    frozenset({"api"}),
    frozenset({"schema"}),
    frozenset({"db"}),
    frozenset({"embedded"}),
    frozenset({"_private"}),
    frozenset({"config", "strategies"}),
    frozenset({"__init__", "clock", "errors", "logs", "model"}),
)

# Library: the modules that may import it, and nothing else may.
CONFINED: dict[str, tuple[str, ...]] = {
    "quickfix": ("fix", "venue"),
    "apscheduler": ("workers.scheduler",),
    "confluent_kafka": ("feeds.kafka",),
    "websockets": ("feeds.websocket",),
    "zmq": ("feeds.zeromq",),
    "vaderSentiment": ("feeds.sentiment",),
    "exchange_calendars": ("refdata.calendars",),
    "dask": ("backtest.on_dask",),
    "distributed": ("backtest.on_dask",),
}

# The private server is administered with SQL of its own (roles, databases, settings): it runs
# before there is a schema, so no function in sql/ could do it.
SQL_PLACES = ("api", "db", "embedded", "schema")

SQL = re.compile(
    r"""^\s*(?:--[^\n]*\n\s*)*(?:
        select\s+(?:\*|\d+\b|[\w.]+\s*\(|[^;]*\sfrom\s+[\w.%{"(])
      | with\s+(?:recursive\s+)?\w+\s*(?:\([^)]*\)\s*)?as\s+(?:(?:not\s+)?materialized\s+)?\(
      | insert\s+into\s+[\w.{"%]
      | update\s+(?:only\s+)?[\w.{}"]+(?:\s+(?:as\s+)?\w+)?\s+set\s+\w+\s*=
      | delete\s+from\s+[\w.{"%]
      | merge\s+into\s+[\w.{"]
      | copy\s+(?:\(|[\w.{}"]+\s*(?:\([^)]*\)\s*)?(?:from|to)\s+(?:stdin|stdout|program|'))
      | (?:create|alter|drop)\s+(?:or\s+replace\s+)?(?:unique\s+|temp(?:orary)?\s+|unlogged\s+
            |materialized\s+|event\s+)*(?:table|view|index|function|procedure|schema|role|user
            |database|extension|type|domain|trigger|sequence|policy|aggregate|system)\b\s*[\w.{"%]
      | truncate\s+(?:table\s+)?[\w.{}"]+\s*(?:,|;|$|cascade|restart)
      | (?:grant|revoke)\s+[\w\s,]+\son\s+[\w.{"]
      | call\s+[\w.{}"]+\s*\(
      | (?:un)?listen\s+(?:\*|"?[a-z{%][\w.{}%]*"?)\s*;?\s*$
      | notify\s+"?[a-z{%][\w.{}%]*"?\s*(?:,\s*['%{:].*)?;?\s*$
      | do\s+\$
      | set\s+(?:local\s+|session\s+)?[\w.]+\s*(?:=|\bto\b)\s*\S
      | explain\s+(?:\(|analyze\b|select\b)
      | vacuum\b(?:\s*\(|\s+[\w.]+\s*$)
    )""",
    re.IGNORECASE | re.VERBOSE,
)


def modules() -> list[Path]:
    """Return every module of the package."""
    return sorted(SOURCE.rglob("*.py"))


def dotted(path: Path, source: Path = SOURCE) -> str:
    """Return the module's name below the package: ``workers.loop``, ``cli``."""
    parts = path.relative_to(source).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)


def imports(tree: ast.AST, module: str, is_package: bool = False) -> Iterator[tuple[str, int]]:
    """Yield (full name, line) of every import, also inside functions, relative ones resolved."""
    here = [PACKAGE, *module.split(".")]
    parents = here if is_package else here[:-1]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                kept = parents[: len(parents) - node.level + 1]
                base = ".".join([*kept, base] if base else kept)
            if base == PACKAGE:
                yield from ((f"{base}.{alias.name}", node.lineno) for alias in node.names)
            else:
                yield base, node.lineno


def tier(unit: str) -> int | None:
    """Return the tier of a module or package directly below the root, 0 being the top."""
    unit = "_private" if re.match(r"_[a-z]", unit) else unit
    return next((i for i, units in enumerate(TIERS) if unit in units), None)


def wrong_imports(tree: ast.AST, module: str, is_package: bool = False) -> list[str]:
    """Return every import that points up or sideways, or takes a confined library."""
    unit = module.split(".")[0]
    own = tier(unit)
    if own is None:
        return [f"{module}: unknown to this test; add {unit!r} to TIERS where it belongs"]
    found = []
    for name, line in imports(tree, module, is_package):
        root, _, rest = name.partition(".")
        if root == PACKAGE:
            target = rest.split(".")[0] or "__init__"
            # `from tsdb_trader import __version__` names an attribute of the root.
            height = tier("__init__" if target.startswith("__") else target)
            private = unit.startswith("_") and height == own
            if target != unit and not private and (height is None or height <= own):
                found.append(f"{module}:{line} imports {name}, which is not below it")
        for library, places in CONFINED.items():
            inside = any(module == p or module.startswith(f"{p}.") for p in places)
            if re.fullmatch(rf"{library}\w*", root) and not inside:
                found.append(f"{module}:{line} imports {name}; only {', '.join(places)} may")
    return found


def docstrings(tree: ast.AST) -> set[int]:
    """Return the ids of strings that stand as statements: docstrings, also of attributes."""
    nodes = (n for n in ast.walk(tree) if isinstance(n, ast.Expr))
    return {id(n.value) for n in nodes if isinstance(n.value, ast.Constant)}


def strings(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Yield (text, line) of every string literal; holes of an f-string are written ``{}``."""
    skipped = docstrings(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            skipped |= {id(value) for value in node.values}
            parts = (v.value if isinstance(v, ast.Constant) else "{}" for v in node.values)
            yield "".join(str(part) for part in parts), node.lineno
        elif isinstance(node, ast.Constant) and id(node) not in skipped:
            if isinstance(node.value, bytes):
                yield node.value.decode("latin-1"), node.lineno
            elif isinstance(node.value, str):
                yield node.value, node.lineno


def sql_texts(tree: ast.AST, module: str) -> list[str]:
    """Return every string that is SQL in a module that may not hold any."""
    if module.split(".")[0] in SQL_PLACES:
        return []
    return [
        f"{module}:{line} holds SQL ({' '.join(text.split())[:60]!r}); move it to sql/ or api"
        for text, line in strings(tree)
        if SQL.match(text)
    ]


@pytest.mark.parametrize("path", modules(), ids=dotted)
def test_module_imports_only_what_is_below_it(path: Path) -> None:
    tree = ast.parse(path.read_bytes())
    assert wrong_imports(tree, dotted(path), path.name == "__init__.py") == []


@pytest.mark.parametrize("path", modules(), ids=dotted)
def test_module_holds_sql_only_where_it_belongs(path: Path) -> None:
    assert sql_texts(ast.parse(path.read_bytes()), dotted(path)) == []


@pytest.mark.parametrize(
    ("module", "code"),
    [
        ("db", "from tsdb_trader import api"),
        ("db", "from tsdb_trader.api import submit_order"),
        ("api", "import tsdb_trader.workers.loop"),
        ("api", "def f():\n    from tsdb_trader.cli import main"),
        ("feeds.lean", "from tsdb_trader.venue import matching"),
        ("feeds.lean", "from ..fix import codec"),
        ("model", "from tsdb_trader import config"),
        ("embedded", "from tsdb_trader import db"),
        ("_debian", "from tsdb_trader.embedded import Server"),
        ("workers.gateway", "import quickfix as fix"),
        ("workers.gateway", "import quickfix44"),
        ("workers.loop", "from apscheduler.schedulers.background import BackgroundScheduler"),
        ("novelty", "import os"),
        ("api", "from tsdb_trader.novelty import thing"),
    ],
)
def test_checker_of_imports_wrong_import_is_found(module: str, code: str) -> None:
    assert len(wrong_imports(ast.parse(code), module)) == 1


@pytest.mark.parametrize(
    ("module", "code"),
    [
        ("cli", "from tsdb_trader import __version__, db, errors"),
        ("workers.gateway", "from tsdb_trader.fix import session\nfrom .loop import Worker"),
        ("feeds.lean", "from tsdb_trader.feeds.base import Batch\nfrom .. import db"),
        ("venue.acceptor", "import quickfix as fix"),
        ("workers.scheduler", "import apscheduler"),
        ("fix.session", "from tsdb_trader import model"),
        ("db", "def f():\n    from tsdb_trader import embedded"),
        ("_debian", "from tsdb_trader._apt_sources import Source"),
    ],
)
def test_checker_of_imports_right_import_passes(module: str, code: str) -> None:
    assert wrong_imports(ast.parse(code), module) == []


@pytest.mark.parametrize(
    "text",
    [
        "select 1",
        "select * from oms.orders",
        "SELECT order_id FROM oms.orders",
        "\n    select o.status\n    from oms.orders o",
        "select oms.cancel_order(%s)",
        "with picked as (select 1) select * from picked",
        "insert into ops.alerts (kind) values (%s)",
        "update oms.orders set status = 'new'",
        "update oms.orders o set status = 'new'",
        "delete from market.quotes",
        "copy market._quotes (ts, ns) from stdin (format binary)",
        "create or replace function f() returns int",
        "alter role tsdb_trader login",
        "drop schema oms cascade",
        "call public.refresh_continuous_aggregate(%s)",
        "listen oms_orders",
        "notify oms_orders, '1'",
        "set local lock_timeout = '1s'",
    ],
)
def test_checker_of_sql_statement_is_found(text: str) -> None:
    assert len(sql_texts(ast.parse(f"run({text!r})"), "workers.loop")) == 1
    assert sql_texts(ast.parse(f"run({text!r})"), "api") == []


def test_checker_of_sql_statement_with_holes_is_found() -> None:
    tree = ast.parse("run(f'select {column} from {table}')")
    assert len(sql_texts(tree, "cli")) == 1


@pytest.mark.parametrize(
    "text",
    [
        "select a strategy",
        "with backoff",
        "update the lock file",
        "set up the server",
        "copy of the message",
        "create .venv",
        "drop to an unprivileged user",
        "listen for rows",
        "notify the operator",
        "call the venue",
        "delete",
        "grant",
        "truncated line",
    ],
)
def test_checker_of_sql_plain_english_passes(text: str) -> None:
    assert sql_texts(ast.parse(f"say({text!r})"), "cli") == []


def test_checker_of_sql_docstring_passes() -> None:
    assert sql_texts(ast.parse('def f():\n    """select * from oms.orders"""'), "cli") == []
