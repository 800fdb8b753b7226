-- Notes that ticks of a feed changed: of p_instrument_ids[n] between p_first_ts[n] and p_last_ts[n],
-- in the transaction that changed them. Only appends, so that writers never wait for each other.
create or replace function market._note_quality(
    p_feed_id integer,
    p_instrument_ids integer[],
    p_first_ts timestamptz[],
    p_last_ts timestamptz[]
)
returns void
language sql
security definer
set search_path = pg_catalog, pg_temp
as $$
    insert into market.quality_changes (feed_id, day, instrument_ids)
    select p_feed_id, d.day::date, array_agg(distinct n.instrument_id)
    from unnest(p_instrument_ids, p_first_ts, p_last_ts) n (instrument_id, first_ts, last_ts)
    cross join lateral generate_series(
        market._quality_day(n.first_ts), market._quality_day(n.last_ts), interval '1 day') d (day)
    group by d.day
$$;
