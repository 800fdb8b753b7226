"""Rows that the panels of strategies, rules, models and portfolios show."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from factories import AS_OF, add_instrument
from rule_market import OPEN, Quote, save, store
from tsdb_trader.api import models

FEED = "test"


def add_strategies(conn: psycopg.Connection, session: Any) -> None:
    """Insert a little of everything for a session that has the pair IBM/AIG and a batch."""
    add_spreads(conn)
    add_instance(conn, session)
    add_portfolio(conn, session)
    add_rule(conn, session)
    add_model(conn)


def add_spreads(conn: psycopg.Connection) -> None:
    """Give the pair a feed with three minutes of quotes of both legs."""
    ms = (AS_OF - OPEN) // timedelta(milliseconds=1)
    store(conn, [Quote(ms + n * 60_000, 100 + n, 100.02 + n, symbol=symbol)
                 for symbol in ("IBM", "AIG") for n in range(3)], FEED)  # fmt: skip
    conn.execute(
        "update signal.pairs set feed_id = (select feed_id from ops.feeds where feed = %s)", (FEED,)
    )


def add_instance(conn: psycopg.Connection, session: Any) -> None:
    """Insert an instance with its state."""
    conn.execute(
        """with made as (
            insert into signal.instances
                (strategy_id, instruments, parameters, feed_id, code_version, valid_from)
            select s.strategy_id, %(legs)s, '{"entry": 1.25}', f.feed_id, 'test', '2013-10-08'
            from signal.strategies s, ops.feeds f where s.strategy = 's_score' and f.feed = %(feed)s
            returning instance_id),
        bound as (
            insert into signal.session_instances (session_id, instance_id, account, digest)
            select %(session)s, instance_id, 'main', 'digest' from made)
        insert into signal.instance_states (session_id, instance_id, batch_id, batch_no, state)
        select %(session)s, instance_id, 1, 1, '{"target": 0}' from made""",
        {
            "legs": [add_instrument(conn, "IBM"), add_instrument(conn, "AIG")],
            "feed": FEED,
            "session": session,
        },
    )


def add_portfolio(conn: psycopg.Connection, session: Any) -> None:
    """Insert a portfolio that holds one stock and refused one instance."""
    state = {
        "as_of": AS_OF.isoformat(),
        "instruments": [add_instrument(conn, "IBM")],
        "quantities": [-300],
        "refused": [77],
        "reasons": ["positions"],
    }
    conn.execute(
        """with made as (
            insert into signal.portfolios (session_id, strategy_id, account, parameters)
            select %s, strategy_id, 'main',
                jsonb_populate_record(null::signal.portfolio_parameters, '{"max_positions": 1}')
            from signal.strategies where strategy = 'pairs' returning session_id, strategy_id)
        insert into signal.portfolio_states (session_id, strategy_id, batch_no, state)
        select session_id, strategy_id, 1, jsonb_populate_record(null::signal.portfolio_state, %s)
        from made""",
        (session, Jsonb(state)),
    )


def add_rule(conn: psycopg.Connection, session: Any) -> None:
    """Insert a rule with a match and an error in the session's first batch."""
    rule_id = save(conn, "any_trade", {"pattern": [{"on": "trade"}]})
    ibm = add_instrument(conn, "IBM")
    conn.execute(
        "insert into signal.rule_spans (session_id, rule_id, first_batch_no, errors, matches) "
        "values (%s, %s, 1, 1, 1)",
        (session, rule_id),
    )
    conn.execute(
        """insert into signal.rule_matches
            (as_of, session_id, rule_id, batch_id, batch_no, known_at, instrument_id, events)
        values (%s, %s, %s, 1, 1, %s, %s, '[]')""",
        (AS_OF, session, rule_id, AS_OF, ibm),
    )
    conn.execute(
        """insert into signal.rule_errors
            (session_id, rule_id, batch_no, as_of, key, instrument_id, kind, code, message)
        values (%s, %s, 1, %s, %s, %s, 'trade', '22012', 'division by zero')""",
        (session, rule_id, AS_OF, ibm, ibm),
    )


def add_model(conn: psycopg.Connection) -> None:
    """Insert an active model with a prediction, and a drift beyond its threshold."""
    version = {
        "task": "regression",
        "estimator": "neighbours",
        "scoring": "worker",
        "features": ["return_1d"],
        "horizon": 5,
        "missing": "refuse",
        "parameters": {},
        "metrics": {},
        "trained_from": "2013-01-01T00:00Z",
        "trained_to": "2013-10-01T00:00Z",
        "data_watermark": {},
        "code_version": "test",
        "features_hash": "hash",
        "libraries": {},
        "drift_threshold": 0.2,
        "bins": {},
    }
    version_id = models.save_model(conn, "reversal", "test", version, b"never read")
    models.activate_model(conn, "reversal")
    row = models.Scored(AS_OF, add_instrument(conn, "IBM"), 0.01, None, [0.02])
    models.save_predictions(conn, version_id, (AS_OF - timedelta(days=1), AS_OF), [row])
    conn.execute(
        """insert into signal.drift (version_id, variable, from_ts, to_ts, observations, psi)
        select %s, d.variable, %s, %s, 500, d.psi
        from (values ('return_1d', 0.31), ('prediction', 0.02)) d (variable, psi)""",
        (version_id, AS_OF - timedelta(days=30), AS_OF),
    )
    conn.execute("select ops.raise_alert('model_drift', 'warning', 'reversal drifts', '{}')")
