-- A series as it was known at p_as_of: for each event time the value published last by then. Without
-- p_instrument_id, the series of no instrument; without p_feed, over all feeds that have it. Nothing
-- published later can change the answer. Inlined.
create or replace function market.series_at(
    p_series text,
    p_as_of timestamptz,
    p_instrument_id integer default null,
    p_feed text default null
)
returns table (
    event_ts timestamptz,
    published_at timestamptz,
    value numeric,
    unit text,
    revision bigint
)
language sql
stable
parallel safe
as $$
    select distinct on (s.ts) s.ts, s.recv_ts, s.value, s.unit,
           row_number() over (partition by s.ts
               order by s.recv_ts, s.feed_id, s.source_id, s.seq) - 1
    from market.alt_series s
    where s.series = p_series and s.recv_ts <= p_as_of
        and s.instrument_id is not distinct from p_instrument_id
        and (p_feed is null
             or s.feed_id = (select f.feed_id from ops.feeds f where f.feed = p_feed))
    order by s.ts, s.recv_ts desc, s.feed_id desc, s.source_id desc, s.seq desc
$$;
comment on function market.series_at(text, timestamptz, integer, text) is
    'A numeric series as known at a time: each event time with its last publication by then; revision counts those before it.';
grant execute on function market.series_at(text, timestamptz, integer, text) to tsdb_reader;
