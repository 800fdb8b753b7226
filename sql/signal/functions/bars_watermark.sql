-- Which sources hold a feed's daily bars from p_from to before p_to, and how many of them each. Bars of
-- other days do not change it. Errors: TT002 unknown feed.
create or replace function signal.bars_watermark(p_feed text, p_from date, p_to date)
returns jsonb
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
    select coalesce(jsonb_agg(jsonb_build_object(
               'source_id', b.source_id, 'name', s.name, 'sha256', s.sha256, 'bars', b.bars)
               order by b.source_id), '[]')
    from (
        select b.source_id, count(*) as bars
        from market._source_bars b
        where b.feed_id = market._feed_id(p_feed) and b.resolution = '1d' and b.side = 'trade'
            and b.ts >= (p_from - 1)::timestamp at time zone 'UTC'
            and b.ts < (p_to + 1)::timestamp at time zone 'UTC'
            and ((b.ts + interval '12 hours') at time zone 'UTC')::date >= p_from
            and ((b.ts + interval '12 hours') at time zone 'UTC')::date < p_to
        group by b.source_id) b
    left join market.sources s using (source_id)
$$;
comment on function signal.bars_watermark(text, date, date) is
    'Which sources hold a feed''s daily bars of some days, and how many each. Errors: TT002.';
grant execute on function signal.bars_watermark(text, date, date) to tsdb_reader, tsdb_worker_scheduler;
