"""What bars must be: a plain grouping of the ticks, written without the functions under test.

Figures that are no integers are compared to 8 decimals of their float8, so that a tie in rounding
falls to the same side.
"""

from __future__ import annotations

from typing import Any

import psycopg

BUCKETS = {
    "bars_1s": ("date_trunc('second', ts)", "interval '1 second'"),
    "bars_1m": ("date_trunc('minute', ts)", "interval '1 minute'"),
    "bars_5m": (
        "date_bin('5 minutes', ts, timestamptz '2000-01-01 00:00Z')",
        "interval '5 minutes'",
    ),
    "bars_1h": ("date_trunc('hour', ts)", "interval '1 hour'"),
    "bars_1d": ("date_trunc('day', ts, 'America/New_York')", None),
}
"""The bucket of a tick, and its length (None: a day of New York)."""

_PLAIN = """
with trades as (
    select t.*, {bucket} as bucket, row_number() over (
               partition by t.instrument_id, t.feed_id, {bucket}, t.flags & 148 = 0
               order by t.ts, t.ns, t.source_id, t.seq) as place,
           count(*) over (
               partition by t.instrument_id, t.feed_id, {bucket}, t.flags & 148 = 0) as places
    from market._trades t
), quotes as (
    select q.*, {bucket} as bucket, q.ask_price - q.bid_price as spread,
           row_number() over w as place, count(*) over (partition by {parts}) as places,
           extract(epoch from lead(q.ts, 1, {end}) over w - q.ts) as held
    from market._quotes q
    where q.bid_price > 0 and q.ask_price > 0 and q.bid_price <= q.ask_price
    window w as (partition by {parts} order by q.ts, q.ns, q.source_id, q.seq)
), b as (
    select instrument_id, feed_id, bucket,
           max(price) filter (where flags & 148 = 0 and place = 1) as open,
           max(price) filter (where flags & 164 = 0) as high,
           min(price) filter (where flags & 164 = 0) as low,
           max(price) filter (where flags & 148 = 0 and place = places) as close,
           sum(size) filter (where flags & 196 = 0) as volume,
           count(*) filter (where flags & 196 = 0) as trade_count,
           sum(price::numeric * size) filter (where flags & 196 = 0) as notional
    from trades group by instrument_id, feed_id, bucket
), s as (
    select instrument_id, feed_id, bucket,
           avg(spread) as mean_spread,
           sum(spread * held) / sum(held) as time_weighted_spread,
           max(bid_price + ask_price) filter (where place = 1) / 2.0 as mid_open,
           max(bid_price + ask_price) filter (where place = places) / 2.0 as mid_close,
           sum(bid_size::numeric - ask_size) / nullif(sum(bid_size::numeric + ask_size), 0)
               as imbalance
    from quotes group by instrument_id, feed_id, bucket
), n as (
    select instrument_id, feed_id, {bucket} as bucket, count(*) as quote_count
    from market._quotes group by instrument_id, feed_id, {bucket}
)
select instrument_id, bucket, b.open / i.price_unit, b.high / i.price_unit, b.low / i.price_unit,
       b.close / i.price_unit, coalesce(b.volume, 0) / i.size_unit, coalesce(b.trade_count, 0),
       round((b.notional / nullif(b.volume, 0) / i.price_unit::numeric)::float8::numeric, 8), feed_id,
       coalesce(n.quote_count, 0),
       round((s.mean_spread / i.price_unit::numeric)::float8::numeric, 8),
       round((s.time_weighted_spread / i.price_unit::numeric)::float8::numeric, 8),
       round((s.mid_open / i.price_unit::numeric)::float8::numeric, 8), round((s.mid_close / i.price_unit::numeric)::float8::numeric, 8),
       round(s.imbalance::float8::numeric, 8)
from b full join n using (instrument_id, feed_id, bucket)
full join s using (instrument_id, feed_id, bucket)
join ref.instruments i using (instrument_id)
"""

_SHOWN = """
select instrument_id, bucket, open, high, low, close, volume, trade_count,
       round(vwap::numeric, 8), feed_id, quote_count, round(mean_spread::numeric, 8),
       round(time_weighted_spread::numeric, 8), round(mid_open::numeric, 8),
       round(mid_close::numeric, 8), round(imbalance::numeric, 8)
from market.{bars}
"""


def plain(bars: str) -> str:
    """Return the query of a level's bars over the ticks."""
    bucket, length = BUCKETS[bars]
    end = f"{bucket} + {length}"
    if length is None:
        local = "date_trunc('day', ts at time zone 'America/New_York')"
        end = f"({local} + interval '1 day') at time zone 'America/New_York'"
    parts = f"q.instrument_id, q.feed_id, {bucket}"
    return _PLAIN.format(bucket=bucket, end=end, parts=parts)


def shown(bars: str) -> str:
    """Return the query of a level's bars as the view shows them."""
    return _SHOWN.format(bars=bars)


def differences(conn: psycopg.Connection) -> list[tuple[Any, ...]]:
    """Return the bars of all levels that differ from a plain grouping of the ticks."""
    found = []
    for bars in BUCKETS:
        rows = conn.execute(
            f"with v as ({shown(bars)}), p as ({plain(bars)}) "
            "select 'view', * from (table v except all table p) d "
            "union all select 'ticks', * from (table p except all table v) d order by 2, 3, 1"
        ).fetchall()
        found += [(bars, *row) for row in rows]
    return found


def is_native(conn: psycopg.Connection) -> bool:
    """Tell whether TimescaleDB keeps the rollups of this server."""
    row = conn.execute("select bool_and(native) from market.rollups").fetchone()
    assert row is not None
    return bool(row[0])


def stop_policies(conn: psycopg.Connection) -> None:
    """Keep TimescaleDB's own jobs from running in the middle of a test."""
    conn.execute(
        "select public.alter_job(job_id, scheduled => false) from timescaledb_information.jobs"
        " where proc_name = 'policy_refresh_continuous_aggregate'"
    )
