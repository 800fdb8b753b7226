"""market.quality against plain counts, the rules' administration, findings and alerts."""

from __future__ import annotations

import random
from collections import defaultdict
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import psycopg
import pytest

from quality_data import Tick, store
from tsdb_trader.api import market, quality
from tsdb_trader.errors import InputError, UnknownObjectError
from tsdb_trader.feeds import loader
from tsdb_trader.feeds.base import Block, Gap, Rejected, Rules
from tsdb_trader.feeds.store import SourceWriter, build
from tsdb_trader.workers.scheduler import JOBS, run_job

OPEN = datetime(2013, 10, 7, 13, 30, tzinfo=UTC)
DAY = date(2013, 10, 7)
NEW_YORK = ZoneInfo("America/New_York")
COUNTED = (
    *("quotes", "trades", "duplicates", "duplicate_quotes", "duplicate_trades", "suspicious"),
    *("cancelled", "late", "quotes_in_hours", "no_bid", "no_ask", "locked", "crossed", "wide"),
    *("trades_in_hours", "outside", "jumps", "stale", "latency_count", "first_ts", "last_ts"),
)


def rows(conn: psycopg.Connection, statement: str, *values: object) -> list[dict[str, Any]]:
    cursor = conn.execute(statement, values)
    names = [column.name for column in cursor.description or []]
    return [dict(zip(names, row, strict=True)) for row in cursor]


def measured(conn: psycopg.Connection, day: date = DAY, symbol: str = "ABC") -> dict[str, Any]:
    [row] = rows(
        conn,
        "select * from market.quality_by_instrument where day = %s and symbol = %s",
        day,
        symbol,
    )
    return row


def after(seconds: float) -> datetime:
    return OPEN + timedelta(seconds=seconds)


def quote(
    seconds: float, bid: int | None = 1000000, ask: int | None = 1000200, **more: Any
) -> Tick:
    return Tick(after(seconds), bid=bid, ask=ask, **more)


def trade(seconds: float, price: int = 1000100, **more: Any) -> Tick:
    return Tick(after(seconds), price=price, **more)


# Against a plain scan of the same ticks


def market_of(seed: int) -> list[Tick]:
    """Return three days of ticks with every defect, mostly in order."""
    rng = random.Random(seed)
    ticks = []
    for day in range(3):
        start = datetime(2013, 10, 7 + day, 13, 0, tzinfo=UTC)
        moment, last = start, 1000000
        for _ in range(rng.randrange(40, 160)):
            moment += timedelta(
                microseconds=rng.choice([0, 1000, 10**6, 10**8, 6 * 10**8, 2 * 10**9])
            )
            at = moment - timedelta(seconds=rng.choice([0, 0, 0, 0, 0, 5]))
            last += rng.randrange(-300, 301) + rng.choice([0, 0, 0, 0, 30000])
            flags = rng.choice([0, 0, 0, 4, 8, 16, 128])
            delay = rng.choice([0, 250, 1_000, 77_000, -500])
            if rng.random() < 0.4:
                ticks.append(Tick(at, price=last, flags=flags, delay_us=delay))
                continue
            bid, ask = last - 100, last + rng.choice([0, 100, -100, -150, 60000])
            side = rng.random()
            ticks.append(
                Tick(
                    at,
                    bid=None if side < 0.1 else 0 if side < 0.15 else bid,
                    ask=None if side > 0.9 else ask,
                    flags=flags & 12,
                    delay_us=delay,
                )
            )
    return ticks


def counted(ticks: list[Tick], rules: dict[str, float]) -> dict[date, dict[str, Any]]:
    """Count in Python, tick by tick."""
    found = {}
    by_day: dict[date, list[tuple[int, Tick]]] = defaultdict(list)
    for place, tick in enumerate(ticks):
        by_day[tick.ts.astimezone(NEW_YORK).date()].append((place, tick))
    for day, placed in by_day.items():
        midnight = pd.Timestamp(day, tz="America/New_York")
        opens = midnight + pd.Timedelta(rules["session_open_s"], "s")
        closes = midnight + pd.Timedelta(rules["session_close_s"], "s")
        n: dict[str, Any] = dict.fromkeys(COUNTED, 0)
        latest: dict[str, datetime] = {}
        for _, t in placed:
            kind = "quotes" if t.price is None else "trades"
            n[kind] += 1
            n["late"] += kind in latest and t.ts < latest[kind]
            latest[kind] = max(latest.get(kind, t.ts), t.ts)
            n["duplicates"] += t.flags & 8 > 0
            n[f"duplicate_{kind}"] += t.flags & 8 > 0
            n["suspicious"] += t.flags & 4 > 0
            n["cancelled"] += t.flags & 128 > 0
            n["latency_count"] += t.delay_us != 0
        n["first_ts"] = min(t.ts for _, t in placed)
        n["last_ts"] = max(t.ts for _, t in placed)
        order = sorted(placed, key=lambda p: (p[1].ts, p[1].price is not None, p[0]))
        prevailing, before, seen = None, None, opens
        for _, t in order:
            if t.ts < closes and t.price is None:
                two_sided = (t.bid or 0) > 0 and (t.ask or 0) > 0
                if two_sided and t.bid <= t.ask:
                    prevailing = t
            if not opens <= t.ts < closes:
                continue
            n["stale"] += (t.ts - seen).total_seconds() > rules["stale_s"]
            seen = t.ts
            if t.price is None:
                n["quotes_in_hours"] += 1
                n["no_bid"] += not (t.bid or 0) > 0
                n["no_ask"] += not (t.ask or 0) > 0
                n["locked"] += two_sided and t.bid == t.ask
                n["crossed"] += two_sided and t.bid > t.ask
                spread = (t.ask - t.bid) / 1e4 if two_sided else 0
                n["wide"] += (
                    two_sided
                    and spread > rules["wide_absolute"]
                    and spread > rules["wide_relative"] * (t.ask + t.bid) / 2e4
                )
            elif not t.flags & 148:
                n["trades_in_hours"] += 1
                n["outside"] += prevailing is not None and (
                    max(prevailing.bid - t.price, t.price - prevailing.ask)
                    > rules["outside_relative"] * t.price
                )
                n["jumps"] += (
                    before is not None and abs(t.price / before - 1) > rules["jump_relative"]
                )
                before = t.price
        n["stale"] += (closes - max(seen, n["last_ts"])).total_seconds() > rules["stale_s"]
        found[day] = n
    return found


@pytest.mark.parametrize("seed", range(4))
def test_quality_equals_a_plain_count_before_and_after_measuring(conn, seed):
    ticks = market_of(seed)
    store(conn, ticks)
    # The end of a feed is not the end of an instrument: something else goes on.
    store(conn, [Tick(datetime(2013, 10, 10, 20, tzinfo=UTC), bid=1, ask=2)], symbol="OTHER")
    statement = "select rule, threshold from market.read_quality_rules('f', 'ABC')"
    expected = counted(ticks, dict(conn.execute(statement).fetchall()))

    def found() -> dict[date, dict[str, Any]]:
        view = rows(conn, "select * from market.quality_by_instrument where symbol = 'ABC'")
        return {row["day"]: {name: row[name] for name in COUNTED} for row in view}

    assert found() == expected
    assert conn.execute("select count(*) from market.quality_days").fetchone() == (0,)
    assert quality.refresh(conn) == len(expected) + 1
    assert conn.execute("select count(*) from market.quality_changes").fetchone() == (0,)
    assert found() == expected
    assert sum(n["crossed"] + n["outside"] + n["late"] + n["wide"] for n in expected.values()) > 0


def test_quality_latencies_are_within_one_percent(conn):
    rng = np.random.default_rng(7)
    delays = np.maximum(rng.lognormal(6, 2, 2000).astype(int), 1)
    store(conn, [quote(i, delay_us=int(d)) for i, d in enumerate(delays[:1500])])
    store(conn, [quote(i, delay_us=int(d)) for i, d in enumerate(delays[1500:])], symbol="XYZ")
    [day] = rows(conn, "select * from market.quality where day = %s", DAY)
    assert day["latency_count"] == 2000
    assert day["latency_max_s"] == pytest.approx(delays.max() / 1e6)
    for name, quantile in (("latency_p50_s", 0.5), ("latency_p99_s", 0.99)):
        exact = np.quantile(delays, quantile, method="lower") / 1e6
        assert day[name] == pytest.approx(exact, rel=0.0101)
    exact = np.quantile(delays[:1500], 0.99, method="lower") / 1e6
    assert measured(conn)["latency_p99_s"] == pytest.approx(exact, rel=0.0101)


def test_quality_of_an_archive_has_no_latency(conn):
    store(conn, [quote(0), quote(1)])
    row = measured(conn)
    assert (row["latency_count"], row["latency_p50_s"], row["latency_max_s"]) == (0, None, None)


def test_quality_shows_later_ticks_changes_and_deletions_at_once(conn):
    store(conn, [quote(0), trade(1)])
    quality.refresh(conn)
    store(conn, [quote(2, 1000300, 1000200)])
    assert (measured(conn)["quotes"], measured(conn)["crossed"]) == (2, 1)
    quality.refresh(conn)
    conn.execute("update market._quotes set bid_price = ask_price where bid_price > ask_price")
    assert (measured(conn)["crossed"], measured(conn)["locked"]) == (0, 1)
    conn.execute("delete from market._trades")
    assert measured(conn)["trades"] == 0
    conn.execute("delete from market._quotes")
    quality.refresh(conn)
    assert conn.execute("select count(*) from market.quality").fetchone() == (0,)


def test_quality_of_ticks_stored_by_hand_is_measured_when_told(conn):
    store(conn, [quote(0)])
    quality.refresh(conn)
    conn.execute(
        """insert into market._quotes select (q).* from (
               select (jsonb_populate_record(q, '{"bid_price": 7, "seq": 1}')) as q
               from market._quotes q) x"""
    )
    assert measured(conn)["quotes"] == 1
    assert quality.remeasure(conn, "f", DAY, DAY) == 1
    assert measured(conn)["quotes"] == 2
    with pytest.raises(UnknownObjectError, match="unknown feed g"):
        quality.remeasure(conn, "g", DAY, DAY)


def test_quality_of_a_day_reads_that_day_only(conn):
    for day in range(5):
        store(conn, [quote(86400 * day), trade(86400 * day + 1)])
    plan = "\n".join(
        line
        for (line,) in conn.execute(
            "explain (analyze, costs off, timing off) select * from market.quality where day = %s",
            (DAY,),
        )
    )
    [measuring] = [
        line for line in plan.splitlines() if "Function Scan on _measure_quality" in line
    ]
    assert "loops=1)" in measuring
    quality.refresh(conn)
    plan = "\n".join(
        line
        for (line,) in conn.execute(
            "explain (analyze, costs off, timing off) select * from market.quality where day = %s",
            (DAY,),
        )
    )
    assert "_quotes" not in plan.replace("duplicate_quotes", "")


def test_quality_measuring_leaves_dropped_days_as_they_are(conn):
    store(conn, [quote(0), quote(1)])
    quality.refresh(conn)
    conn.execute("select public.drop_chunks('market._quotes', older_than => now())")
    conn.execute(
        """insert into market.retention (hypertable, dropped_before)
           values ('market._quotes', %s) on conflict (hypertable)
           do update set dropped_before = excluded.dropped_before""",
        (after(86400),),
    )
    store(conn, [trade(5)])
    quality.refresh(conn)
    assert measured(conn)["quotes"] == 2


def test_quality_counts_losses_on_the_day_of_a_file(conn):
    store(conn, [quote(0), quote(1)], rejected=3)
    [day] = rows(conn, "select * from market.quality where feed = 'f'")
    assert (day["day"], day["rows"], day["quarantined"]) == (DAY, 2, 3)
    assert day["quarantined_by_reason"] == {"malformed": 3}


def test_quality_counts_gaps_of_a_stream(conn):
    writer = SourceWriter(conn, "s", "test", "stream", "channel", "udp")
    writer.write(
        build(
            Block(
                0,
                9,
                rejected=[Rejected(0, "malformed", "?"), Rejected(8, "not_utf8", "?")],
                missing=7,
                gaps=[Gap(1, 3), Gap(5, 7)],
                filled=[Gap(5, 6)],
            )
        )
    )
    [day] = rows(conn, "select * from market.quality where feed = 's'")
    assert (day["gaps_open"], day["gaps_filled"], day["missing"]) == (2, 1, 4)
    assert day["quarantined_by_reason"] == {"malformed": 1, "not_utf8": 1}
    found = {f.rule for f in quality.check(conn, "s", OPEN, datetime.now(UTC) + timedelta(days=2))}
    assert found == {"missing_rows", "quarantined_share"} - (
        set() if day["rows"] else {"quarantined_share"}
    ) | {"quarantined_share"}


def test_quality_silence_after_the_last_tick_counts_when_the_feed_went_on(conn):
    store(conn, [quote(0), quote(600)])
    assert (measured(conn)["stale"], measured(conn)["max_silence_s"]) == (0, 600)
    store(conn, [quote(7200)], symbol="XYZ")
    quality.refresh(conn)
    row = measured(conn)
    assert (row["stale"], row["max_silence_s"], row["max_silence_from"]) == (1, 6600, after(600))
    store(conn, [quote(86400)], symbol="XYZ")
    assert measured(conn)["max_silence_s"] == 6.5 * 3600 - 600


# Rules


def test_rule_narrowest_scope_is_used(conn):
    store(conn, [quote(0)])
    store(conn, [quote(0)], feed="g", symbol="XYZ")
    for threshold, scope in (
        (0.2, {"feed": "f"}),
        (0.3, {"symbol": "ABC"}),
        (0.4, {"feed": "f", "symbol": "ABC"}),
    ):
        quality.set_rule(conn, "wide_share", threshold, "test", scope)

    def threshold(feed: str | None, symbol: str | None) -> float:
        row = conn.execute(
            "select threshold from market.read_quality_rules(%s, %s) where rule = 'wide_share'",
            (feed, symbol),
        ).fetchone()
        assert row is not None
        return row[0]

    assert [threshold(*s) for s in (("f", "ABC"), ("g", "ABC"), ("f", "XYZ"), ("g", "XYZ"))] == [
        *(0.4, 0.3, 0.2, 0.05)
    ]
    quality.set_rule(conn, "wide_share", None, "no more", {"feed": "f", "symbol": "ABC"})
    assert threshold("f", "ABC") == 0.3
    assert threshold(None, None) == 0.05


def test_rule_keeps_who_when_and_why(conn, connect_as):
    operator = connect_as("tsdb_operator")
    quality.set_rule(operator, "stale_s", 60, "thin")
    quality.set_rule(operator, "stale_s", 90, "less thin")
    history = rows(
        conn,
        """select threshold, reason, set_by, recorded_at, nullif(superseded_at, 'infinity') as until
           from market.quality_thresholds where rule = 'stale_s' order by threshold_id""",
    )
    assert [(h["threshold"], h["reason"]) for h in history] == [
        (900, "default"),
        (60, "thin"),
        (90, "less thin"),
    ]
    assert history[1]["set_by"] == "tsdb_operator"
    assert history[0]["until"] <= history[1]["recorded_at"] < history[2]["recorded_at"]
    assert [h["until"] is None for h in history] == [False, False, True]


def test_rule_changed_measures_the_days_concerned_again(conn):
    store(conn, [quote(0), quote(100)])
    store(conn, [quote(0), quote(100)], feed="g")
    quality.refresh(conn)
    quality.set_rule(conn, "stale_s", 50, "thin", {"feed": "g"})
    stale = "select feed, stale from market.quality order by feed"
    assert conn.execute(stale).fetchall() == [("f", 0), ("g", 1)]
    assert quality.refresh(conn) == 1
    assert conn.execute(stale).fetchall() == [("f", 0), ("g", 1)]


def test_rule_of_no_use_is_refused(conn):
    nan, infinity = float("nan"), float("inf")
    for arguments, error, message in (
        (("nothing", 1, "why"), UnknownObjectError, "unknown rule nothing: use one of bar_absent"),
        (("stale_s", -1, "why"), InputError, "at least 0"),
        (("stale_s", nan, "why"), InputError, "at least 0"),
        (("stale_s", infinity, "why"), InputError, "at least 0"),
        (("stale_s", 1, ""), InputError, "needs a reason"),
        (("stale_s", None, "why"), InputError, "needs a threshold for everything"),
        (("stale_s", 1, "why", {"venue": "X"}), InputError, "say {}, or feed, symbol"),
        (("stale_s", 1, "why", {"feed": "none"}), UnknownObjectError, "unknown feed none"),
        (("stale_s", 1, "why", {"symbol": "NONE"}), UnknownObjectError, "unknown symbol NONE"),
        (("future_s", 1, "why", {"symbol": "ABC"}), InputError, "whole feeds"),
        (("cross_lag_s", 1, "why", {"feed": "f"}), InputError, "about two feeds"),
    ):
        with pytest.raises(error, match=message):
            quality.set_rule(conn, *arguments)


def test_rules_only_operators_may_set(connect_as):
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        quality.set_rule(connect_as("tsdb_quant"), "stale_s", 60, "thin")


def test_rules_of_loading_are_those_of_the_feed(conn):
    assert Rules(**market.read_rules(conn)) == Rules()
    store(conn, [quote(0)])
    quality.set_rule(conn, "cross_absolute", 0.5, "as this broker is", {"feed": "f"})
    assert Rules(**market.read_rules(conn, "f")) == Rules(cross_absolute=0.5)
    assert Rules(**market.read_rules(conn, "g")) == Rules()


def test_quality_everybody_may_read(conn, connect_as):
    store(conn, [quote(0, 1000300, 1000200)])
    for role in ("tsdb_quant", "tsdb_readonly", "tsdb_operator", "tsdb_risk"):
        reader = connect_as(role)
        assert measured(reader)["crossed"] == 1
        assert len(rows(reader, "select * from market.quality")) == 1
        found = quality.check(reader, "f", OPEN, after(86400))
        assert [f.rule for f in found] == ["crossed_share"]


# Findings


def test_check_finds_each_rule_with_place_and_figures(conn):
    store(
        conn,
        [
            *(quote(i) for i in range(96)),
            *(quote(100 + i, 1000300, 1000200) for i in range(4)),
            trade(200),
            trade(8000, 1200100),
        ],
    )
    found = quality.check(conn, "f", OPEN, after(1))
    assert [(f.rule, f.symbol, f.ts) for f in found] == [
        ("crossed_share", "ABC", datetime(2013, 10, 7, 4, tzinfo=UTC)),
        ("outside_share", "ABC", datetime(2013, 10, 7, 4, tzinfo=UTC)),
        ("silence_s", "ABC", after(200)),
        ("jump", "ABC", after(8000)),
    ]
    assert [(f.observed, f.threshold) for f in found] == [
        (0.04, 0.01),
        (0.5, 0.05),
        (7800, 3600),
        (pytest.approx(1200100 / 1000100 - 1), 0.1),
    ]
    assert quality.check(conn, "f", after(86400), after(2 * 86400)) == []


def test_check_of_no_use_is_refused(conn):
    store(conn, [quote(0)])
    with pytest.raises(UnknownObjectError, match="unknown feed none"):
        quality.check(conn, "none", OPEN, after(1))
    for span in ((after(1), OPEN), (None, OPEN)):
        with pytest.raises(InputError, match="are no days"):
            quality.check(conn, "f", *span)


def alerts(conn: psycopg.Connection) -> list[tuple[Any, ...]]:
    return conn.execute(
        """select severity, detail->>'feed', detail->>'rule', resolved_at is not null
           from ops.alerts where kind = 'data_quality' order by alert_id"""
    ).fetchall()


def test_watch_raises_an_alert_once_and_says_the_worst(conn):
    store(conn, [quote(0, 1000300, 1000200)])
    store(conn, [quote(0), quote(1, 1000300, 1000200)], symbol="XYZ")
    quality.refresh(conn)
    assert quality.watch(conn, after(0)) == 2
    assert quality.watch(conn, after(0)) == 0
    assert alerts(conn) == [("info", "f", "crossed_share", False)]
    [alert] = rows(conn, "select detail from ops.alerts where kind = 'data_quality'")
    assert alert["detail"]["findings"] == 2
    assert alert["detail"]["worst"]["symbol"] == "ABC"
    assert alert["detail"]["worst"]["observed"] == 1


def test_watch_stream_alert_is_resolved_when_the_days_are_right_again(conn):
    store(conn, [quote(0, 1000300, 1000200)], stream=True)
    quality.refresh(conn)
    assert quality.watch(conn, after(60)) == 1
    assert quality.watch(conn, after(120)) == 1
    assert alerts(conn) == [("warning", "f", "crossed_share", False)]
    store(conn, [quote(3 + i) for i in range(200)], stream=True)
    quality.refresh(conn)
    quality.watch(conn, after(180))
    assert alerts(conn) == [("warning", "f", "crossed_share", True)]


def test_watch_measures_nothing_itself(conn):
    store(conn, [quote(0, 1000300, 1000200)], stream=True)
    assert quality.watch(conn, after(60)) == 0
    quality.refresh(conn)
    store(conn, [quote(i) for i in range(1, 200)], stream=True)
    assert quality.check(conn, "f", OPEN, after(1)) == []
    assert quality.watch(conn, after(60)) == 1


def test_watch_runs_as_a_scheduled_job(conn, database):
    store(conn, [quote(0, 1000300, 1000200)])
    [job] = [job for job in JOBS if job.name == "check_quality"]
    run_job(database, job)
    assert rows(conn, "select succeeded, detail from ops.jobs") == [
        {"succeeded": True, "detail": {"measured": 1, "findings": 1}}
    ]


# Recorded data


@pytest.mark.needs_data
@pytest.mark.slow
@pytest.mark.parametrize(
    ("symbol", "quotes", "duplicates", "in_hours", "crossed", "locked"),
    [
        ("aig", 1_079_935, 307_319, 1_079_366, 199, 27_766),
        ("ibm", 109_067, None, 107_998, 86, 648),
    ],
)
def test_quality_of_recorded_quotes_is_what_others_counted(
    conn, data_folder, symbol, quotes, duplicates, in_hours, crossed, locked
):
    loader.load(conn, "lean", [data_folder / f"us_equity_ticks/{symbol}/20131007_quote.zip"])
    row = measured(conn, symbol=symbol.upper())
    assert (row["quotes"], row["quotes_in_hours"]) == (quotes, in_hours)
    assert (row["crossed"], row["locked"], row["late"]) == (crossed, locked, 0)
    assert duplicates in (None, row["duplicates"])


@pytest.mark.needs_data
@pytest.mark.slow
def test_quality_of_recorded_taq_is_what_others_counted(conn, data_folder):
    """The 44 crossed quotes of the catalog have an offer of zero, which is no offer."""
    loader.load(conn, "taq", [data_folder / "taq_raw/taq_quotes_raw.csv.gz"])
    for rule, threshold in (
        ("session_open_s", 0),
        ("session_close_s", 86400),
        ("wide_absolute", 5),
        ("wide_relative", 0),
    ):
        quality.set_rule(conn, rule, threshold, "the whole day, five dollars", {"feed": "taq"})
    [found] = rows(
        conn,
        """select sum(quotes) as quotes, sum(no_bid) as no_bid, sum(no_ask) as no_ask,
                  sum(crossed) as crossed, sum(duplicates) as duplicates, sum(wide) as wide
           from market.quality where feed = 'taq'""",
    )
    # Of the catalog's 6,163 spreads over five dollars, 17 are from a bid of zero.
    assert found == {
        "quotes": 131_401,
        "no_bid": 52,
        "no_ask": 79,
        "crossed": 0,
        "duplicates": 10_514,
        "wide": 6_163 - 17,
    }
