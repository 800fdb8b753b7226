"""Strategies in Python on the tables of signal and backtest: registered, stepped, compared."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from typing import Any, LiteralString
from uuid import UUID

from psycopg.rows import class_row, scalar_row
from psycopg.types.json import Jsonb

from tsdb_trader.api import backtest, sessions, sweeps
from tsdb_trader.api.backtest import Difference, Summary
from tsdb_trader.api.sweeps import Sweep
from tsdb_trader.db import Connection, translated
from tsdb_trader.errors import InputError, TraderError, TransitionError, UnknownObjectError
from tsdb_trader.strategies import Instance, Loaded, StepError, StepInput, start

Classes = Mapping[str, Loaded]
"""Loaded strategies by name."""


@dataclass(frozen=True)
class _Due:
    strategy: str
    python_class: str
    python_hash: str
    instance_id: int
    state: dict[str, Any] | None
    as_of: datetime
    mids: list[float | None]
    features: list[float | None] | None
    parameters: dict[str, Any]


@dataclass(frozen=True)
class _Past:
    strategy: str
    instance_id: int
    moment: int
    as_of: datetime
    mids: list[float | None] | None
    features: list[float | None] | None
    parameters: dict[str, Any] | None
    state: dict[str, Any] | None = None


def register(conn: Connection, loaded: Loaded) -> int:
    """Make a strategy of a class, or replace its code; its id.

    Raises
    ------
    InputError
        Its inputs function will not do.
    UnknownObjectError
        There is no such inputs function.
    TransitionError
        The name is taken, or its fields are not those that it had.
    """
    with translated():
        row = conn.execute(
            "select signal.register_python_strategy(%s, %s, %s, %s, %s, %s, %s, %s)",
            (
                loaded.name,
                loaded.strategy.description,
                loaded.path,
                loaded.code_hash,
                Jsonb([dataclasses.asdict(field) for field in loaded.state_fields]),
                Jsonb([dataclasses.asdict(field) for field in loaded.parameter_fields]),
                loaded.strategy.inputs,
                loaded.strategy.lookback,
            ),
        ).fetchone()
    assert row is not None  # noqa: S101 - the function returns its id or raises
    return int(row[0])


def save_instance(
    conn: Connection,
    loaded: Loaded,
    symbols: Sequence[str],
    feed: str,
    parameters: Mapping[str, Any],
    valid_from: datetime,
) -> int:
    """Save an instance, its parameters checked by the class itself too; its id.

    Raises
    ------
    InputError
        Parameters, symbols or the time cannot be.
    UnknownObjectError
        A symbol, the feed or the strategy does not exist.
    """
    try:
        start(loaded, dict(parameters), None)
    except StepError as error:
        raise InputError(str(error)) from error
    with translated():
        row = conn.execute(
            "select signal.save_instance(%s, %s, %s, %s, '{}', %s)",
            (loaded.name, list(symbols), feed, Jsonb(dict(parameters)), valid_from),
        ).fetchone()
    assert row is not None  # noqa: S101 - the function returns its id or raises
    return int(row[0])


def runs_python(conn: Connection, session_id: UUID) -> bool | None:
    """Say whether a session trades Python strategies; None before its first batch."""
    found: bool | None = (
        conn.cursor(row_factory=scalar_row)
        .execute("select signal.runs_python(%s)", (session_id,))
        .fetchone()
    )
    return found


def consume_batch(conn: Connection, session_id: UUID, classes: Classes) -> int | None:
    """Step the strategies on the next batch, those in Python first, in one transaction.

    Returns the number of signals, None without a batch. A strategy whose class is not among
    `classes`, or is not the code that was registered, is stopped for the rest of the session.
    """
    with conn.transaction():
        batch_id = (
            conn.cursor(row_factory=scalar_row)
            .execute("select ops.begin_batch(%s)", (session_id,))
            .fetchone()
        )
        if batch_id is None:
            return None
        step_batch(conn, batch_id, classes)
        return sessions.consume_batch(conn, session_id)


def step_batch(conn: Connection, batch_id: int, classes: Classes) -> int:
    """Step the Python strategies of a session on its next batch, for signal.on_batch; how many.

    It must be called in the transaction that consumes the batch.
    """
    # Binary: no setting of the connection may round a float.
    cursor = conn.cursor(row_factory=class_row(_Due), binary=True)
    due = cursor.execute("select * from signal.python_inputs(%s)", (batch_id,)).fetchall()
    steps: list[dict[str, Any]] = []
    for name, rows in groupby(due, key=lambda row: row.strategy):
        steps += _step_strategy(name, list(rows), classes)
    if steps:
        conn.execute("select signal.hand_over_steps(%s, %s)", (batch_id, Jsonb(steps)))
    return len(steps)


def _step_strategy(name: str, rows: Sequence[_Due], classes: Classes) -> list[dict[str, Any]]:
    try:
        loaded = _find(classes, name, rows[0].python_class, rows[0].python_hash)
    except TraderError as error:
        return [{"strategy": name, "sql_state": error.sqlstate, "message": str(error)}]
    return [_step_instance(loaded, row) for row in rows]


def _step_instance(loaded: Loaded, row: _Due) -> dict[str, Any]:
    try:
        step = start(loaded, row.parameters, row.state).advance(_input(row))
    except StepError as error:
        message = str(error).replace("\0", "")
        return {
            "instance_id": row.instance_id,
            "sql_state": error.sql_state,
            "message": message,
        }
    return {"instance_id": row.instance_id, "state": step.document()}


def _find(classes: Classes, name: str, path: str, code_hash: str) -> Loaded:
    loaded = classes.get(name)
    if loaded is None:
        raise UnknownObjectError(
            f'strategy "{name}" is the class {path}, which is not loaded: name it in '
            "TSDB_TRADER_STRATEGIES"
        )
    if loaded.code_hash != code_hash:
        raise TransitionError(
            f'the code of {loaded.path} is not what strategy "{name}" was registered with: '
            "register it again, or install that code"
        )
    return loaded


def _input(row: _Due | _Past) -> StepInput:
    return StepInput(
        row.as_of.astimezone(UTC),
        tuple(row.mids or ()),
        None if row.features is None else tuple(row.features),
    )


# History ---------------------------------------------------------------------------------------


def registered(conn: Connection) -> dict[str, tuple[str, str]]:
    """Return class and hash of each strategy in Python."""
    rows = conn.execute(
        """select strategy, python_class, python_hash from signal.strategies
           where python_class is not null"""
    ).fetchall()
    return {name: (path, code_hash) for name, path, code_hash in rows}


def run(
    conn: Connection,
    classes: Classes,
    strategy: str,
    parameters: Mapping[str, Any],
    begin: datetime | None = None,
    end: datetime | None = None,
    costs: str = "realistic",
) -> Summary:
    """Run a backtest of any strategy and keep it, as ``api.backtest.run`` does of those in SQL.

    An instance whose step fails is stopped there and recorded in ``backtest.run_errors``.

    Raises
    ------
    InputError
        A parameter is unknown or cannot be, or every instance fails.
    UnknownObjectError
        The class is not loaded, or something the parameters name does not exist.
    TransitionError
        The class is not the code that was registered.
    """
    code = registered(conn).get(strategy)
    if code is None:
        return backtest.run(conn, strategy, parameters, begin, end, costs)
    loaded = _find(classes, strategy, *code)
    wanted = (strategy, Jsonb(dict(parameters)), begin, end)
    with translated(), conn.transaction():
        decisions = _decide(conn, loaded, wanted)
        cursor = conn.cursor(row_factory=class_row(Summary))
        summary = cursor.execute(
            "select * from backtest.run(%s, %s, %s, %s, %s, %s)",
            (*wanted, costs, Jsonb(decisions)),
        ).fetchone()
    assert summary is not None  # noqa: S101 - the function returns its row or raises
    return summary


def run_point(conn: Connection, classes: Classes, sweep: Sweep, point: Mapping[str, Any]) -> int:
    """Run one point of a sweep of any strategy, if it was not run yet; its run_id.

    Raises
    ------
    InputError, UnknownObjectError, TransitionError
        As ``run``.
    """
    code = registered(conn).get(sweep.strategy)
    if code is None:
        return sweeps.run_point(conn, sweep.sweep_id, point)
    loaded = _find(classes, sweep.strategy, *code)
    changed = Jsonb(sweep.parameters | dict(point))
    with translated(), conn.transaction():
        done = sweeps.claim_point(conn, sweep.sweep_id, point)
        if done is not None:
            return done
        wanted = (sweep.strategy, changed, sweep.from_ts, sweep.to_ts)
        return sweeps.run_point(conn, sweep.sweep_id, point, _decide(conn, loaded, wanted))


def check_loaded(conn: Connection, classes: Classes, strategy: str) -> None:
    """Make sure that a strategy in Python is loaded, and is the code that was registered.

    Raises
    ------
    UnknownObjectError
        The class is not loaded.
    TransitionError
        The class is not the code that was registered.
    """
    code = registered(conn).get(strategy)
    if code is not None:
        _find(classes, strategy, *code)


def differences(conn: Connection, session_id: UUID, classes: Classes) -> list[Difference]:
    """Step a session's Python strategies again; every difference from the states recorded live.

    kind: ``python_state``, ``python_step`` (a step that fails now), ``python_class`` (a class that
    is not loaded, or not the code that is registered).
    """
    known = registered(conn)
    with translated(), conn.transaction():
        query: LiteralString = "select * from backtest.replay_python_steps(%s)"
        past = _read_past(conn, query, (session_id,))
        found: list[Difference] = []
        for name, rows in groupby(past, key=lambda row: row.strategy):
            try:
                found += _compare(_find(classes, name, *known[name]), rows)
            except TraderError as error:
                found.append(Difference("python_class", None, None, {"message": str(error)}))
    return found


def _compare(loaded: Loaded, past: Iterator[_Past]) -> Iterator[Difference]:
    for instance_id, rows in groupby(past, key=lambda row: row.instance_id):
        instance: Instance | None = None
        for row in rows:
            if row.mids is None:
                detail = {"recorded": row.state, "recomputed": None}
                yield Difference("python_state", row.moment, instance_id, detail)
                continue
            try:
                instance = instance or start(loaded, row.parameters or {}, None)
                step = instance.advance(_input(row))
            except StepError as error:
                failure = {"message": str(error)}
                yield Difference("python_step", row.moment, instance_id, failure)
                break
            if row.state is None or not instance.stands_at(row.state):
                detail = {"recorded": row.state, "recomputed": step.document()}
                yield Difference("python_state", row.moment, instance_id, detail)


def _decide(conn: Connection, loaded: Loaded, wanted: tuple[object, ...]) -> list[list[Any]]:
    past = _read_past(conn, "select * from backtest.python_inputs(%s, %s, %s, %s)", wanted)
    return [
        decision
        for _, rows in groupby(past, key=lambda row: row.instance_id)
        for decision in _fold(loaded, rows)
    ]


def _fold(loaded: Loaded, past: Iterator[_Past]) -> Iterator[list[Any]]:
    """Step an instance until it fails; what it decided and the failure, as backtest.run reads."""
    instance: Instance | None = None
    for row in past:
        try:
            instance = instance or start(loaded, row.parameters or {}, None)
            step = instance.advance(_input(row))
        except StepError as error:
            message = str(error).replace("\0", "")
            yield [row.instance_id, row.moment, None, error.sql_state, message]
            return
        if step.event is not None:
            yield [row.instance_id, row.moment, step.event, step.quantities, step.score]


def _read_past(
    conn: Connection, query: LiteralString, parameters: tuple[object, ...]
) -> Iterator[_Past]:
    # On the server, so that years of inputs need no memory here.
    with closing(conn.cursor("python_inputs", row_factory=class_row(_Past), binary=True)) as cursor:
        cursor.itersize = 5_000
        yield from cursor.execute(query, parameters)
