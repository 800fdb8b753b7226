"""How the demo prints what came of a session: plain lines, readable without a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from decimal import Decimal
from typing import Any
from uuid import UUID

from tsdb_trader.api.summary import Invariant, Position, Summary


def as_json(
    session_id: UUID, summary: Summary, invariants: list[Invariant], psql: str
) -> dict[str, Any]:
    """Return everything the demo prints as one JSON object; decimals as strings."""
    return {
        "session_id": str(session_id),
        "summary": asdict(summary),
        "invariants": [asdict(i) for i in invariants],
        "psql": psql,
        "passed": verdict(summary, invariants) is None,
    }


def verdict(summary: Summary, invariants: list[Invariant]) -> str | None:
    """Return why the demo failed, None if it passed."""
    broken = [i.invariant for i in invariants if not i.passed]
    if broken:
        return f"{len(broken)} of {len(invariants)} invariants do not hold: {'; '.join(broken)}"
    if summary.fills == 0:
        return "the session made no trade: choose another window with --window"
    return None


def lines(summary: Summary, invariants: list[Invariant], psql: str) -> Iterator[str]:
    """Yield the lines of the summary."""
    yield ""
    yield _line("ticks in", f"{summary.quotes:,} quotes, {summary.trades:,} trades"
                            f" in {summary.batches:,} batches")  # fmt: skip
    yield _line("signals", _counts(summary.signals))
    yield _line("orders", _counts(summary.orders))
    if summary.denials:
        yield _line("denied for", _counts(summary.denials))
    yield _line(
        "fills",
        f"{summary.fills:,} ({_money(summary.filled_quantity, 0)} shares,"
        f" {_money(summary.filled_value)} USD)",
    )
    yield ""
    yield from _positions(summary.positions)
    yield ""
    yield f"{'latency (wall time)':<28}{'samples':>10}{'p50 ms':>10}{'p99 ms':>10}"
    for latency in summary.latencies:
        yield (
            f"{latency.stage:<28}{latency.samples:>10,}{latency.p50_ms:>10.2f}"
            f"{latency.p99_ms:>10.2f}"
        )
    yield ""
    yield _line("reconciliation breaks", str(summary.open_breaks))
    yield ""
    yield "invariants"
    for invariant in invariants:
        mark = "PASS" if invariant.passed else "FAIL"
        yield f"  {mark}  {invariant.invariant}: {invariant.detail}"
    yield ""
    yield "look further:"
    yield f"  {psql}"


def _positions(positions: list[Position]) -> Iterator[str]:
    heads = ("quantity", "average", "mark", "realized", "unrealized", "fees", "total P&L")
    yield f"{'position':<12}" + "".join(f"{head:>13}" for head in heads)
    for p in positions:
        cells = (
            _money(p.quantity, 0),
            _money(p.average_price, 4),
            _money(p.mark, 4),
            _money(p.realized_pnl),
            _money(p.unrealized_pnl),
            _money(p.fees),
            _money(p.total_pnl),
        )
        yield f"{p.symbol:<12}" + "".join(f"{cell:>13}" for cell in cells)
    totals = (
        _money(sum((p.realized_pnl for p in positions), Decimal())),
        _money(_total([p.unrealized_pnl for p in positions])),
        _money(sum((p.fees for p in positions), Decimal())),
        _money(_total([p.total_pnl for p in positions])),
    )
    yield f"{'total':<12}{'':>39}" + "".join(f"{cell:>13}" for cell in totals)


def _total(values: list[Decimal | None]) -> Decimal | None:
    """Add up; unknown if one is unknown."""
    known = [v for v in values if v is not None]
    return sum(known, Decimal()) if len(known) == len(values) else None


def _money(value: Decimal | None, places: int = 2) -> str:
    return "-" if value is None else f"{value:,.{places}f}"


def _counts(counts: Mapping[str, int]) -> str:
    total = sum(counts.values())
    parts = ", ".join(f"{n:,} {name}" for name, n in counts.items())
    return f"{total:,}" + (f" ({parts})" if parts else "")


def _line(name: str, text: str) -> str:
    return f"{name:<24}{text}"
