-- Notes every instrument day of a feed between two days, both included.
create or replace function market._note_feed(p_feed text, p_from date, p_to date)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    v_feed_id integer := market._feed_id(p_feed);
begin
    if p_from is null or p_to is null or p_from > p_to then
        raise exception 'from % to % are no days: name the first and the last', p_from, p_to
            using errcode = 'TT001';
    end if;
    insert into market.quality_changes (feed_id, day, instrument_ids)
    select v_feed_id, d.day::date, s.instrument_ids
    from generate_series(p_from, p_to, interval '1 day') d (day)
    cross join (
        select array_agg(distinct s.instrument_id) as instrument_ids
        from market.sources s
        where s.feed_id = v_feed_id and s.kind in ('quotes', 'trades', 'book_events')
    ) s
    where s.instrument_ids is not null;
end
$$;
