"""`tsdb-trader migrate`: Alembic for tables, then every changed file of sql/manifest.txt."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg

from tsdb_trader import db
from tsdb_trader.errors import SchemaError, TraderError

if TYPE_CHECKING:
    import sqlalchemy
    from alembic.config import Config

# Any constant does: all migrations of a database queue on it.
_LOCK = 7_418_529_630


@dataclass(frozen=True)
class Migration:
    """What a run of `migrate` did."""

    revision: str
    files_applied: int
    files_unchanged: int


def root() -> Path:
    """Return the folder that holds sql/ and migrations/: the checkout, or the installed data.

    Raises
    ------
    SchemaError
        Neither is there: the installation is incomplete.
    """
    here = Path(__file__).resolve()
    for folder in (here.parents[2], here.parent / "_data"):
        if (folder / "sql" / "manifest.txt").is_file():
            return folder
    raise SchemaError("sql/manifest.txt is missing beside the package: install from a checkout")


def manifest() -> list[str]:
    """Return the SQL files in the order they are applied, relative to sql/."""
    lines = (root() / "sql" / "manifest.txt").read_text().splitlines()
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


def _alembic(connection: sqlalchemy.Connection) -> Config:
    from alembic.config import Config

    config = Config(str(root() / "alembic.ini"))
    config.set_main_option("script_location", str(root() / "migrations"))
    config.attributes["connection"] = connection
    return config


def migrate(url: str | None = None) -> Migration:
    """Bring the database to this program's schema; safe to run at any time, by several at once.

    Everything happens in one transaction: a failure leaves the database as it was.

    Raises
    ------
    SchemaError
        The database was migrated by a newer program, or its server cannot hold our data safely.
    DatabaseUnavailableError
        The database cannot be reached.
    """
    # Every worker imports this module, but only a migration needs these libraries.
    import sqlalchemy
    from alembic import command
    from alembic.script import ScriptDirectory
    from alembic.util.exc import CommandError

    target = url or db.database_url()
    # The psycopg connection is made by us so that its errors are ours; SQLAlchemy only wraps it.
    engine = sqlalchemy.create_engine(
        "postgresql+psycopg://",
        creator=lambda: db.connect(target, application_name="tsdb-trader migrate"),
        poolclass=sqlalchemy.NullPool,
    )
    with engine.begin() as connection:
        raw: db.Connection = connection.connection.driver_connection  # type: ignore[assignment]
        raw.prepare_threshold = None  # prepared plans of dropped objects would fail
        raw.execute("select pg_advisory_xact_lock(%s)", (_LOCK,))
        _refuse_unreadable_chunks(raw)
        # The migrations' own bookkeeping lives with ours, so its schema comes first.
        raw.execute("create schema if not exists ops")
        config = _alembic(connection)
        try:
            command.upgrade(config, "head")
        except CommandError as error:
            raise SchemaError(
                f"the database was migrated by a newer tsdb-trader ({error}): upgrade this one"
            ) from None
        applied, unchanged = _apply_files(raw)
        head = ScriptDirectory.from_config(config).get_current_head()
    engine.dispose()
    return Migration(str(head), applied, unchanged)


def _apply_files(raw: db.Connection) -> tuple[int, int]:
    known = dict(raw.execute("select path, sha256 from ops.schema_files").fetchall())
    paths = manifest()
    applied = 0
    for path in paths:
        text = (root() / "sql" / path).read_text()
        sha256 = hashlib.sha256(text.encode()).hexdigest()
        if known.get(path) == sha256:
            continue
        try:
            raw.execute(text.encode())
        except psycopg.Error as error:
            raise SchemaError(f"sql/{path}: {str(error).splitlines()[0]}") from error
        raw.execute(
            "insert into ops.schema_files (path, sha256) values (%s, %s) on conflict (path) "
            "do update set sha256 = excluded.sha256, applied_at = clock_timestamp()",
            (path, sha256),
        )
        applied += 1
    raw.execute("delete from ops.schema_files where path <> all (%s)", (paths,))
    return applied, len(paths) - applied


def behind(error: psycopg.Error) -> SchemaError | None:
    """Return that the schema is not ours, if that is why a statement names what is not there."""
    missing = (
        psycopg.errors.UndefinedTable,
        psycopg.errors.UndefinedColumn,
        psycopg.errors.UndefinedFunction,
        psycopg.errors.UndefinedObject,
        psycopg.errors.InvalidSchemaName,
    )
    if not isinstance(error, missing):
        return None
    try:
        check_current()
    except SchemaError as reason:
        return reason
    except (psycopg.Error, TraderError):
        return None
    return None


def _refuse_unreadable_chunks(raw: db.Connection) -> None:
    """Refuse an Apache server over compressed chunks: it would silently return fewer rows."""
    row = raw.execute(
        "select current_setting('timescaledb.license', true), "
        "to_regclass('_timescaledb_catalog.chunk') is not null"
    ).fetchone()
    if row is None or row[0] != "apache" or not row[1]:
        return
    compressed = raw.execute(
        "select count(*) from _timescaledb_catalog.chunk "
        "where compressed_chunk_id is not null and not dropped"
    ).fetchone()
    if compressed is not None and compressed[0]:
        raise SchemaError(
            f"the database holds {compressed[0]} compressed chunks, which an Apache-licensed "
            "TimescaleDB reads as missing rows: start the server with timescaledb.license=timescale"
        )


def check_current(url: str | None = None) -> None:
    """Refuse a database that is not at this program's schema.

    Raises
    ------
    SchemaError
        It is not migrated, or differs; the message says what to do.
    """
    with db.connect(url) as connection:
        _refuse_unreadable_chunks(connection)
        row = connection.execute("select to_regclass('ops.schema_files')").fetchone()
        known = (
            dict(connection.execute("select path, sha256 from ops.schema_files").fetchall())
            if row and row[0]
            else {}
        )
    ours = {p: hashlib.sha256((root() / "sql" / p).read_bytes()).hexdigest() for p in manifest()}
    if known != ours:
        raise SchemaError("the database is not at this program's schema: run `tsdb-trader migrate`")
