"""``tsdb-trader news``: what is done with headlines after they were stored."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from tsdb_trader import db
from tsdb_trader.api import news

app = typer.Typer(no_args_is_help=True, help="Scores and symbols of stored headlines.")

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


@app.command()
def score(as_json: AsJson = False) -> None:
    """Score headlines that this version of VADER has not scored; earlier scores stay."""
    from tsdb_trader import schema
    from tsdb_trader.feeds import sentiment

    schema.check_current()
    model = sentiment.vader()
    with db.connect(autocommit=True, application_name="tsdb-trader news") as conn:
        scored = sentiment.score_stored(conn, model)
    if as_json:
        typer.echo(json.dumps({"model": model.name, "version": model.version, "scored": scored}))
    else:
        typer.echo(f"{scored:,} headlines scored by {model.name} {model.version}")


@app.command()
def resolve(as_json: AsJson = False) -> None:
    """Find the instruments of symbols registered after their headlines were stored."""
    from tsdb_trader import schema

    schema.check_current()
    with db.connect(autocommit=True, application_name="tsdb-trader news") as conn:
        resolved = news.resolve(conn)
    if as_json:
        typer.echo(json.dumps({"resolved": resolved}))
    else:
        typer.echo(f"{resolved:,} headlines have one more instrument")
