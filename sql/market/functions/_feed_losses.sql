-- What a feed lost per day: the part of its rows that was quarantined, and rows that never came.
create or replace function market._feed_losses(p_feed_id integer, p_from date, p_to date)
returns table (day date, quarantined_share double precision, missing double precision)
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
    with losses as (
        select l.day, sum(l.quarantined) as quarantined, sum(l.missing) as missing
        from market._quality_losses l
        where l.feed_id = p_feed_id and l.day between p_from and p_to
        group by l.day
    )
    select l.day,
           l.quarantined::double precision / nullif(l.quarantined + greatest(d.rows, s.rows), 0),
           l.missing::double precision
    from losses l
    cross join lateral (
        select coalesce(sum(d.quotes + d.trades + d.book_events), 0) as rows
        from market.quality_days d where d.feed_id = p_feed_id and d.day = l.day
    ) d
    cross join lateral (
        -- Rows of a file count where its losses do: on the day that it begins.
        select coalesce(sum(s.rows_stored), 0) as rows
        from market.sources s
        join ops.feeds f on f.feed_id = s.feed_id and f.kind = 'file'
        where s.feed_id = p_feed_id and s.parent_id is null
            and market._quality_day(s.first_ts) = l.day
    ) s
$$;
grant execute on function market._feed_losses(integer, date, date) to tsdb_reader;
