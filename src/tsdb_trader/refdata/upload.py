"""Writes facts into schema ref: all of a file or folder, or nothing of it."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

from tsdb_trader.api import reference
from tsdb_trader.api.reference import Value
from tsdb_trader.db import Connection
from tsdb_trader.errors import ConflictError, InputError, UnknownObjectError
from tsdb_trader.refdata import calendars, lean

_SHOWN = 20


@dataclass(frozen=True)
class Fact:
    """A row for `ref.record`: which kind, where it comes from, and its columns."""

    kind: str
    where: str
    columns: dict[str, Value]
    known_at: datetime | None = None


@dataclass
class Report:
    """How many facts of each kind were recorded, unchanged, corrected or withdrawn."""

    facts: dict[str, Counter[str]] = field(default_factory=dict)
    instruments: int = 0
    notes: list[str] = field(default_factory=list)

    def add(self, kind: str, outcome: str) -> None:
        """Count a fact."""
        self.facts.setdefault(kind, Counter())[outcome] += 1


def at_midnight(day: date | str) -> datetime | None:
    """Return the start of a day in UTC, when its date is one."""
    try:
        moment = datetime.combine(date.fromisoformat(str(day)), time(), UTC)
    except ValueError:
        return None
    return min(moment, datetime.now(UTC))


def record_all(conn: Connection, facts: Iterable[Fact], report: Report) -> None:
    """Record facts within one transaction.

    Raises
    ------
    InputError
        Some cannot be recorded: nothing was; the message lists them.
    """
    problems = []
    with conn.transaction():
        for fact in facts:
            try:
                with conn.transaction():
                    outcome = reference.record(conn, fact.kind, fact.columns, fact.known_at)
                report.add(fact.kind, outcome)
            except (InputError, UnknownObjectError, ConflictError) as error:
                problems.append(f"{fact.where}: {error}")
        if problems:
            more = f"\n... and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
            raise InputError(
                f"{len(problems)} rows cannot be recorded, nothing was:\n"
                + "\n".join(problems[:_SHOWN])
                + more
            )


def load_csv(
    conn: Connection, kind: str, path: Path, *, effective: bool = False, register: bool = False
) -> Report:
    """Record the rows of a CSV file whose header names columns of `ref.<kind>`.

    Parameters
    ----------
    effective
        Whether a row without `known_at` counts as known from its own date on; else from now on.
    register
        Whether symbols that nobody registered are.

    Raises
    ------
    InputError
        The file, or a row of it, cannot be used; nothing was recorded.
    """
    report = Report()
    rows = list(read_csv(path))
    with conn.transaction():
        if register:
            symbols = {
                row[key] for _, row in rows for key in ("symbol", "instrument") if key in row
            }
            report.instruments = reference.register(conn, sorted(symbols))
        record_all(conn, (_fact(kind, where, row, effective) for where, row in rows), report)
    return report


def _fact(kind: str, where: str, row: dict[str, str], effective: bool) -> Fact:
    known_at = None
    if "known_at" in row:
        try:
            known_at = datetime.fromisoformat(row["known_at"])
        except ValueError:
            raise InputError(f"{where}: known_at {row['known_at']!r} is no ISO time") from None
        known_at = known_at if known_at.tzinfo else known_at.replace(tzinfo=UTC)
    elif effective:
        known_at = at_midnight(row.get("ex_date") or row.get("valid_from") or "")
    columns: dict[str, Value] = {k: v for k, v in row.items() if k != "known_at"}
    columns.setdefault("source", where)
    return Fact(kind, where, columns, known_at)


def read_csv(path: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield each row's place and its fields that are not empty.

    Raises
    ------
    InputError
        It is no CSV file in UTF-8 with a header, or a row has more or fewer fields than that.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            header = [name.strip() for name in next(reader, [])]
            if not header or not all(header) or len(set(header)) != len(header):
                raise InputError(f"{path}: the first row must name each column once")
            for fields in reader:
                where = f"{path}, row {reader.line_num}"
                if not any(fields):
                    continue
                if len(fields) != len(header) or "\0" in "".join(fields):
                    raise InputError(f"{where}: {len(fields)} fields, the header has {len(header)}")
                pairs = zip(header, fields, strict=True)
                yield where, {name: text.strip() for name, text in pairs if text.strip()}
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"cannot read {path}: {error}") from None


def load_lean(conn: Connection, folder: Path) -> Report:
    """Record what LEAN's factor files and map files say: symbols, listings, splits, dividends.

    They do not say when each was known: it counts as known from the start of its own day (UTC).

    Raises
    ------
    InputError
        There are no such files, or one of them cannot be used; nothing was recorded.
    """
    maps = {lean.instrument_name(p): p for p in sorted(folder.glob("**/map_files/*.csv"))}
    factors = {lean.instrument_name(p): p for p in sorted(folder.glob("**/factor_files/*.csv"))}
    if not maps and not factors:
        raise InputError(f"no map_files/*.csv and no factor_files/*.csv in {folder}")
    report = Report()
    claims = {name: lean.read_map_file(path) for name, path in maps.items()}
    rows = {name: lean.read_factor_file(path) for name, path in factors.items()}
    for name in sorted(factors.keys() - maps.keys()):
        claims[name] = [_claim_without_map(name, rows[name][0].day, claims, report)]
    with conn.transaction():
        report.instruments = reference.register(conn, sorted(claims))
        ids = reference.instrument_ids(conn, sorted(claims))
        facts: list[Fact] = []
        for name, found in claims.items():
            facts += _symbols(ids[name], str(maps.get(name, factors.get(name))), found)
        for name, path in factors.items():
            facts += _actions(ids[name], path, rows[name])
        record_all(conn, facts, report)
        report.notes += reference.misattributed(conn)
    return report


def _claim_without_map(
    name: str, first: date, claims: dict[str, list[lean.Claim]], report: Report
) -> lean.Claim:
    """Return the symbol of an instrument without a map file: its name, once nobody else has it."""
    others = [c for found in claims.values() for c in found if c.symbol == name]
    if any(c.valid_to is None for c in others):
        raise InputError(f"{name} has no map file, and another instrument has its symbol")
    since = max([first, *(c.valid_to for c in others if c.valid_to is not None)])
    report.notes.append(f"{name} has no map file: taken as its symbol from {since} on")
    return lean.Claim(name, None, since, None)


def _symbols(instrument_id: int, source: str, claims: list[lean.Claim]) -> Iterator[Fact]:
    for claim in claims:
        columns: dict[str, Value] = {
            "instrument_id": instrument_id,
            "symbol": claim.symbol,
            "venue": claim.venue,
            "valid_from": claim.valid_from,
            "valid_to": claim.valid_to or "infinity",
            "source": source,
        }
        yield Fact("symbols", source, columns, at_midnight(claim.valid_from))
    for listing in _listings(claims):
        columns = {
            "instrument_id": instrument_id,
            "venue": listing.venue,
            "valid_from": listing.valid_from,
            "valid_to": listing.valid_to or "infinity",
            "source": source,
        }
        yield Fact("listings", source, columns, at_midnight(listing.valid_from))


def _listings(claims: list[lean.Claim]) -> list[lean.Claim]:
    """Return the claims with those joined that follow each other on the same venue."""
    joined: list[lean.Claim] = []
    for claim in claims:
        if claim.venue is None:
            continue
        last = joined[-1] if joined else None
        if last and last.venue == claim.venue and last.valid_to == claim.valid_from:
            claim = lean.Claim(claim.symbol, claim.venue, last.valid_from, claim.valid_to)
            joined.pop()
        joined.append(claim)
    return joined


def _actions(instrument_id: int, path: Path, rows: list[lean.FactorRow]) -> Iterator[Fact]:
    splits, dividends = lean.derive_actions(path, rows)
    for split in splits:
        columns: dict[str, Value] = {
            "instrument_id": instrument_id,
            "ex_date": split.ex_date,
            "new_shares": split.new_shares,
            "old_shares": split.old_shares,
            "source": str(path),
        }
        yield Fact("splits", f"{path}, {split.ex_date}", columns, at_midnight(split.ex_date))
    for dividend in dividends:
        columns = {
            "instrument_id": instrument_id,
            "ex_date": dividend.ex_date,
            "amount": dividend.amount,
            "source": str(path),
        }
        yield Fact(
            "dividends", f"{path}, {dividend.ex_date}", columns, at_midnight(dividend.ex_date)
        )


def load_calendar(conn: Connection, exchange: str, first: date, last: date) -> dict[str, object]:
    """Store an exchange's sessions from `first` to `last`; say how many were new or differ.

    Raises
    ------
    InputError
        There is no such calendar, or not for these dates, or the range leaves a hole.
    """
    found = calendars.read_calendar(exchange, first, last)
    added, changed, withdrawn = reference.load_calendar(
        conn,
        found.exchange,
        found.time_zone,
        calendars.LIBRARY,
        (found.first, found.last),
        [_calendar_day(s) for s in found.sessions],
    )
    return {
        "exchange": found.exchange,
        "sessions": len(found.sessions),
        "added": added,
        "changed": changed,
        "withdrawn": withdrawn,
    }


def _calendar_day(session: calendars.Session) -> reference.CalendarDay:
    starts, ends = session.break_ or (None, None)
    return reference.CalendarDay(
        session.date, session.opens_at, session.closes_at, starts, ends, session.early_close
    )


def default_range(today: date) -> tuple[date, date]:
    """Return the dates a calendar is loaded for by default: from 2000 to a year from now."""
    return date(2000, 1, 1), today + timedelta(days=365)
