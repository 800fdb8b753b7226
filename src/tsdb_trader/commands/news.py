"""``tsdb-trader news``: what is done with headlines after they were stored."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
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
def train(
    labelled: Annotated[Path, typer.Argument(help="Headlines that people scored, JSON.")],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say how good it is, score nothing.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Learn sentiment from headlines that people scored, and score the stored ones by it."""
    from tsdb_trader import schema
    from tsdb_trader.feeds import sentiment
    from tsdb_trader.research import headlines

    found = headlines.read_labelled(labelled)
    model = headlines.train(found)
    agreements = {
        "learnt": asdict(headlines.validate(found)),
        "vader": asdict(headlines.judge(found, sentiment.vader().score)),
    }
    scored = 0
    if not dry_run:
        schema.check_current()
        with db.connect(autocommit=True, application_name="tsdb-trader news") as conn:
            scored = sentiment.score_stored(conn, model)
    if as_json:
        said = {"model": model.name, "version": model.version, "scored": scored}
        typer.echo(json.dumps(said | {"agreement": agreements}))
        return
    typer.echo(f"model {model.name} {model.version}; agreement with {len(found.titles):,} scores:")
    for name, figures in agreements.items():
        typer.echo(f"  {name:<7}" + "".join(f" {key} {x:.3f} " for key, x in figures.items()))
    typer.echo("nothing scored" if dry_run else f"{scored:,} headlines scored")


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
