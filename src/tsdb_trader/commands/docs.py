"""`tsdb-trader docs`: docs/sql_api.md from the comments in the database."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from tsdb_trader.api.catalog import Function, Relation
    from tsdb_trader.db import Connection


def docs(
    output: Annotated[Path, typer.Option(help="The file to write.")] = Path("docs/sql_api.md"),
    check: Annotated[bool, typer.Option("--check", help="Only say whether it differs.")] = False,
) -> None:
    """Write the reference of the SQL interface; the same database gives the same file."""
    from tsdb_trader import db, schema
    from tsdb_trader.errors import SchemaError

    schema.check_current()
    with db.connect(application_name="tsdb-trader docs") as conn:
        text = reference(conn)
    if check:
        if not output.is_file() or output.read_text() != text:
            raise SchemaError(f"{output} is not what the database says: run `tsdb-trader docs`")
        return
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(text)
    typer.echo(f"wrote {output}")


def reference(conn: Connection) -> str:
    """Return the reference as Markdown."""
    from tsdb_trader import errors
    from tsdb_trader.api import catalog

    schemas = catalog.schema_comments(conn)
    relations = catalog.relations(conn)
    functions = catalog.functions(conn)
    parts = [
        "# SQL interface",
        "Written by `tsdb-trader docs` from the comments in the database: change those, not this "
        "file. Names with a leading underscore are private and left out.",
    ]
    parts.append(
        _table(
            "## Errors\n\nRaised by the functions, each with one line that says what to do.",
            ("SQLSTATE", "meaning"),
            sorted(
                (kind.sqlstate, (kind.__doc__ or "").splitlines()[0])
                for kind in errors.TraderError.__subclasses__()
                if kind.sqlstate
            ),
        )
    )
    parts.append(
        _table(
            "## Pre-trade controls\n\nThe codes in `risk.checks`, `oms.orders.reasons` and "
            "`risk.set_limit`. A control with a unit needs a limit, and denies without one.",
            ("control", "unit", "what it checks"),
            catalog.controls(conn),
        )
    )
    for schema in catalog.SCHEMAS:
        own = [r for r in relations if r.schema == schema]
        calls = [f for f in functions if f.schema == schema]
        if not own and not calls:
            continue
        parts.append(f"## {schema}")
        parts.append(schemas.get(schema) or "")
        parts.extend(_relation(r) for r in own)
        parts.extend(_function(f) for f in calls)
    return "\n\n".join(part for part in parts if part) + "\n"


def _table(head: str, columns: Sequence[str], rows: Iterable[Sequence[str | None]]) -> str:
    lines = [columns, ["---"] * len(columns), *([_cell(c) for c in row] for row in rows)]
    return head + "\n\n" + "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _relation(relation: Relation) -> str:
    head = f"### {relation.kind} {relation.schema}.{relation.name}"
    if relation.comment:
        head += "\n\n" + relation.comment
    return _table(head, ("column", "type", ""), relation.columns)


def _function(function: Function) -> str:
    head = f"### {function.schema}.{function.name}"
    arguments = function.arguments.replace(", ", ",\n    ")
    inside = f"\n    {arguments}\n" if arguments else ""
    signature = f"```sql\n{function.schema}.{function.name}({inside}) → {function.result}\n```"
    return "\n\n".join(p for p in (head, signature, function.comment or "") if p)


def _cell(text: str | None) -> str:
    return (text or "").replace("|", "\\|").replace("\n", " ")
