"""Schema signal: rules over events, and what they found."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString
from uuid import UUID

from psycopg.rows import class_row, scalar_row
from psycopg.types.json import Jsonb

from tsdb_trader.db import Connection
from tsdb_trader.errors import UnknownObjectError


@dataclass(frozen=True)
class Rule:
    """The current version of a rule."""

    rule: str
    version: int
    enabled: bool
    description: str
    definition: dict[str, Any]
    valid_from: str
    valid_to: str
    saved_by: str
    recorded_at: datetime
    matches: int
    errors: int


@dataclass(frozen=True)
class Match:
    """What a rule found; without a symbol it is of several instruments together."""

    rule: str
    version: int
    as_of: datetime
    known_at: datetime
    batch_no: int
    symbol: str | None
    events: list[dict[str, Any]]


# Times as text: infinity has no datetime.
_RULES = """
    select r.rule, r.version, r.enabled, r.description, r.definition, r.valid_from::text,
        r.valid_to::text, r.saved_by, r.recorded_at,
        coalesce(s.matches, 0) as matches, coalesce(s.errors, 0) as errors
    from signal.rules r
    left join (
        select rule_id, sum(matches) as matches, sum(errors) as errors
        from signal.rule_spans group by rule_id) s using (rule_id)
    where r.superseded_at = 'infinity'
"""


def rules(conn: Connection) -> list[Rule]:
    """Return the current version of every rule, by name."""
    cur = conn.cursor(row_factory=class_row(Rule))
    return cur.execute(_RULES + "order by r.rule").fetchall()


def rule(conn: Connection, name: str) -> Rule:
    """Return the current version of one rule.

    Raises
    ------
    UnknownObjectError
        No rule has this name.
    """
    found = {r.rule: r for r in rules(conn)}
    if name in found:
        return found[name]
    close = difflib.get_close_matches(name, found, n=1, cutoff=0.5)
    hint = f"did you mean {close[0]}?" if close else "see `tsdb-trader rule list`"
    raise UnknownObjectError(f'unknown rule "{name}": {hint}')


def save_rule(
    conn: Connection,
    rule: str,
    definition: Mapping[str, Any],
    description: str,
    enabled: bool | None = None,
) -> int:
    """Check, compile and save a rule; its rule_id (``signal.save_rule``).

    Raises
    ------
    InputError
        A definition that cannot be.
    UnknownObjectError
        A key, kind, field, function or instrument that does not exist.
    """
    value: Any = (
        conn.cursor(row_factory=scalar_row)
        .execute(
            "select signal.save_rule(%s, %s, %s, %s)",
            (rule, Jsonb(dict(definition)), description, enabled),
        )
        .fetchone()
    )
    return int(value)


def enable_rule(conn: Connection, rule: str) -> bool:
    """Have a rule evaluated from the next batch on; is that new? (``signal.enable_rule``)."""
    return _tell(conn, "select signal.enable_rule(%s)", rule)


def disable_rule(conn: Connection, rule: str) -> bool:
    """Have a rule evaluated no more; was it enabled? (``signal.disable_rule``)."""
    return _tell(conn, "select signal.disable_rule(%s)", rule)


def scan_rules(
    conn: Connection, rule: str, session_id: UUID, version: int | None = None
) -> list[Match]:
    """Return what a rule finds in a session's stored events (``signal.scan_rules``)."""
    cur = conn.cursor(row_factory=class_row(Match))
    return cur.execute(
        """select s.rule, s.version, s.as_of, s.known_at, s.batch_no, i.symbol, s.events
        from signal.scan_rules(%s, %s, %s) s
        left join ref.instruments i using (instrument_id)
        order by s.as_of, i.symbol""",
        (rule, session_id, version),
    ).fetchall()


def matches(
    conn: Connection, *, rule: str | None = None, session_id: UUID | None = None, limit: int = 100
) -> list[Match]:
    """Return the last recorded matches, the oldest first, of a rule and session or of all."""
    cur = conn.cursor(row_factory=class_row(Match))
    return cur.execute(
        """select * from (
            select r.rule, r.version, m.as_of, m.known_at, m.batch_no, i.symbol, m.events
            from signal.rule_matches m
            join signal.rules r using (rule_id)
            left join ref.instruments i using (instrument_id)
            where r.rule = coalesce(%s, r.rule) and m.session_id = coalesce(%s, m.session_id)
            order by m.as_of desc, r.rule desc, i.symbol desc limit %s) last
        order by as_of, rule, symbol""",
        (rule, session_id, limit),
    ).fetchall()


def _tell(conn: Connection, query: LiteralString, rule: str) -> bool:
    return bool(conn.cursor(row_factory=scalar_row).execute(query, (rule,)).fetchone())
