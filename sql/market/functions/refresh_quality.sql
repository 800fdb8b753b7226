-- Measures the days whose ticks changed (market.quality_changes), at most p_limit instrument days;
-- returns how many it measured. With p_feed, every instrument day of that feed from p_from to p_to
-- is measured, for ticks that were stored by hand. Days whose ticks were dropped (market.retention)
-- stay as they are. Several callers at once queue up.
-- Raises TT002 for an unknown feed, TT001 for one without days.
create or replace function market.refresh_quality(
    p_limit integer default null,
    p_feed text default null,
    p_from date default null,
    p_to date default null
)
returns integer
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_change record;
    v_dropped date;
    v_done integer := 0;
begin
    perform pg_advisory_xact_lock(7418531);
    if p_feed is not null then
        perform market._note_feed(p_feed, p_from, p_to);
    end if;
    select market._quality_day(max(r.dropped_before)) into v_dropped
    from market.retention r
    where r.hypertable in ('market._quotes', 'market._trades', 'market._book_events');
    for v_change in
        select c.feed_id, c.day, i.instrument_id, array_agg(c.change_id) as change_ids
        from market.quality_changes c
        cross join lateral unnest(c.instrument_ids) i (instrument_id)
        group by c.feed_id, c.day, i.instrument_id
        order by c.day, c.feed_id, i.instrument_id
        limit p_limit
    loop
        -- Notes are taken before the ticks are looked at, in later statements: what comes after
        -- leaves a note of its own.
        update market.quality_changes c
        set instrument_ids = array_remove(c.instrument_ids, v_change.instrument_id)
        where c.change_id = any (v_change.change_ids);
        continue when v_change.day <= v_dropped;
        delete from market.quality_days d
        where d.feed_id = v_change.feed_id and d.instrument_id = v_change.instrument_id
            and d.day = v_change.day;
        insert into market.quality_days
        select m.* from market._measure_quality(
            v_change.feed_id, v_change.instrument_id, v_change.day) m;
        v_done := v_done + 1;
    end loop;
    delete from market.quality_changes c where c.instrument_ids = '{}';
    return v_done;
end
$$;
comment on function market.refresh_quality(integer, text, date, date) is
    'Measures the days whose ticks changed, or those of a feed; returns how many instrument days.';
grant execute on function market.refresh_quality(integer, text, date, date)
    to tsdb_worker_scheduler, tsdb_ops;
