-- Which files hold a feed's daily bars from p_from to before p_to, and how many of them each: name, sha256,
-- bars. Bars of other days do not change it. Errors: TT002 unknown feed.
create or replace function signal.bars_watermark(p_feed text, p_from date, p_to date)
returns jsonb
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
    select coalesce(jsonb_agg(
        jsonb_build_object('name', f.name, 'sha256', f.sha256, 'bars', f.bars) order by f.name, f.sha256), '[]')
    from (
        select s.name, s.sha256, sum(b.bars) as bars
        from (
            select b.source_id, count(*) as bars
            from market._source_bars b
            cross join lateral (select ((b.ts + interval '12 hours') at time zone 'UTC')::date as date) x
            where b.feed_id = market._feed_id(p_feed) and b.resolution = '1d' and b.side = 'trade'
                and b.ts >= (p_from - 1)::timestamp at time zone 'UTC'
                and b.ts < (p_to + 1)::timestamp at time zone 'UTC'
                and x.date >= p_from and x.date < p_to
            group by b.source_id) b
        left join market.sources s using (source_id)
        group by s.name, s.sha256) f
$$;
comment on function signal.bars_watermark(text, date, date) is
    'Which files hold a feed''s daily bars of some days, and how many each. Errors: TT002.';
grant execute on function signal.bars_watermark(text, date, date) to tsdb_reader, tsdb_worker_scheduler;
