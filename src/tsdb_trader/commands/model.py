"""`tsdb-trader model train|list|show|activate|export|score|drift|retire`."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tsdb_trader.commands.session import parse_time
from tsdb_trader.errors import InvariantError

if TYPE_CHECKING:
    from tsdb_trader.db import Connection

app = typer.Typer(no_args_is_help=True, help="Models: train, look at, let answer, score, watch.")

_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
_Name = Annotated[str, typer.Argument(help="The model's name.")]
_Version = Annotated[int | None, typer.Option(help="Which version (default: the latest).")]
_AsOf = Annotated[str | None, typer.Option(help="As of a time: 2018-01-31T21:00Z (default: now).")]
_NUMBERS = ("ic", "ic_by_time", "accuracy", "share_up", "auc", "log_loss", "r2")


@app.command("train")
def train(
    config: Annotated[Path, typer.Argument(help="The model's configuration, TOML.")],
    start: Annotated[str, typer.Option("--from", help="Start: 2013-02-08T00:00Z.")],
    end: Annotated[str, typer.Option("--to", help="End; no later label or feature is used.")],
    symbols: Annotated[
        str | None, typer.Option(help="Only these instruments: AAPL,MSFT (default: all).")
    ] = None,
    estimator: Annotated[str | None, typer.Option(help="In place of the configuration's.")] = None,
    activate: Annotated[
        bool, typer.Option("--activate", help="Let it answer from the end of its training on.")
    ] = False,
    as_json: _Json = False,
) -> None:
    """Validate a model on purged splits, train it, and save it as a new version."""
    from tsdb_trader.api import models as api
    from tsdb_trader.research import estimators, models

    settings = estimators.read_config(config, estimator=estimator)
    window = (parse_time(start), parse_time(end))
    with _connect() as conn:
        ids = None
        if symbols is not None:
            wanted = [symbol.strip() for symbol in symbols.split(",")]
            ids = api.instrument_ids(conn, wanted)
        trained = models.train(
            conn, settings, window, ids, progress=lambda text: typer.echo(text, err=True)
        )
        with conn.transaction():
            version_id = models.save(conn, trained)
            if activate:
                api.activate_model(conn, settings.model)
        found = next(
            row for row in api.registry(conn, settings.model) if row["version_id"] == version_id
        )
    _show(found, as_json)


@app.command("list")
def list_models(as_json: _Json = False) -> None:
    """List every version of every model."""
    from tsdb_trader.api import models as api

    with _connect() as conn:
        found = api.registry(conn)
    if as_json:
        typer.echo(json.dumps(found, default=str))
        return
    for row in found:
        overall = row["metrics"].get("overall", {})
        typer.echo(
            f"{row['model']} {row['version']}  {row['status']}  {row['estimator']}  "
            f"{row['scoring']}  {_numbers(overall)}"
        )


@app.command("show")
def show(model: _Name, version: _Version = None, as_json: _Json = False) -> None:
    """Show a version: what it is, what it rests on, how good it was."""
    from tsdb_trader.api import models as api

    with _connect() as conn:
        found = [
            row for row in api.registry(conn, model) if version is None or row["version"] == version
        ]
        if not found:
            # Raises, with the reason.
            api.form(conn, model, version)
    _show(found[-1], as_json)


@app.command("activate")
def activate_model(
    model: _Name,
    version: _Version = None,
    valid_from: Annotated[
        str | None, typer.Option("--from", help="From when (default: the end of its training).")
    ] = None,
) -> None:
    """Let a version answer for its model from a time on."""
    from tsdb_trader.api import models as api

    with _connect() as conn:
        number = api.activate_model(
            conn, model, version, parse_time(valid_from) if valid_from else None
        )
    typer.echo(f"version {number} answers for {model}")


@app.command("export")
def export(model: _Name, version: _Version = None) -> None:
    """Print what a version is scored by in the database, as JSON."""
    from tsdb_trader.api import models as api

    with _connect() as conn:
        found = api.form(conn, model, version)
    typer.echo(json.dumps(found))


@app.command("score")
def score(
    model: Annotated[str | None, typer.Argument(help="One model (default: all).")] = None,
    as_of: _AsOf = None,
    as_json: _Json = False,
) -> None:
    """Store the predictions that are due, as the scheduler does."""
    from tsdb_trader.api import models as api
    from tsdb_trader.research import scoring

    with _connect() as conn:
        if model is not None:
            api.registry(conn, model)
        runs = scoring.score_due(conn, _time(as_of), model)
    if as_json:
        typer.echo(json.dumps([vars(run) for run in runs]))
    else:
        for run in runs:
            typer.echo(f"{run.model} {run.version}: {run.error or f'{run.new:,} new predictions'}")
    if any(run.error for run in runs):
        raise InvariantError("not every model could be scored")


@app.command("drift")
def drift(as_of: _AsOf = None, as_json: _Json = False) -> None:
    """Measure and record the drift of the valid models over the 30 days before a time."""
    from tsdb_trader.api import models as api

    with _connect() as conn:
        found = api.watch_drift(conn, _time(as_of))
    if as_json:
        typer.echo(json.dumps([vars(row) for row in found]))
        return
    for row in found:
        typer.echo(
            f"{row.model} {row.version}  {row.variable:<20} psi {row.psi:.4f}  "
            f"of {row.observations:,}"
        )


@app.command("retire")
def retire(model: _Name, as_of: _AsOf = None) -> None:
    """Let no version answer for a model from a time on."""
    from tsdb_trader.api import models as api

    with _connect() as conn:
        api.retire_model(conn, model, _time(as_of))
    typer.echo(f"{model} is retired")


def _connect() -> Connection:
    from tsdb_trader import db, schema

    schema.check_current()
    return db.connect(autocommit=True, application_name="tsdb-trader model")


def _time(text: str | None) -> datetime:
    return parse_time(text) if text else datetime.now(UTC)


def _numbers(found: dict[str, Any]) -> str:
    return "  ".join(f"{key} {found[key]:.4f}" for key in _NUMBERS if found.get(key) is not None)


def _show(row: dict[str, Any], as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(row, default=str))
        return
    metrics = row["metrics"]
    typer.echo(f"{row['model']} version {row['version']}, {row['status']}")
    typer.echo(f"{row['estimator']}, {row['task']} over {row['horizon']} bars, {row['scoring']}")
    typer.echo(f"features: {', '.join(row['features'])}; missing: {row['missing']}")
    typer.echo(f"trained on {row['trained_from']} to {row['trained_to']}, "
               f"{metrics['rows']:,} rows, {metrics['rows_refused']:,} refused")  # fmt: skip
    for fold in metrics["folds"]:
        typer.echo(f"  {fold['from'][:10]} to {fold['to'][:10]}: {_numbers(fold)}")
    typer.echo(f"overall: {_numbers(metrics['overall'])}")
