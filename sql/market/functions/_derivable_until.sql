-- How far quotes can be derived from the events of a book after p_after, up to p_last_ts and about
-- p_limit events: the place of the last of them, and how many there are. Not within a snapshot: one
-- that is not told to its end yet waits. Null and 0 when there are none.
create or replace function market._derivable_until(
    p_instrument_id integer,
    p_feed_id integer,
    p_after market.book_position,
    p_last_ts timestamptz,
    p_limit bigint,
    out until market.book_position,
    out events bigint
)
language plpgsql
stable
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
as $$
declare
    v_from_ts timestamptz := p_after.ts;
    v_limit bigint := p_limit;
    v_ahead bigint;
begin
    loop
        with ahead as materialized (
            select e.ts, e.ns, e.source_id, e.seq, e.flags, row_number() over in_order as no,
                   lead(e.flags) over in_order as next_flags
            from market._book_events e
            where e.instrument_id = p_instrument_id and e.feed_id = p_feed_id
                and e.ts >= v_from_ts and e.ts <= p_last_ts
                and (e.ts, e.ns, e.source_id, e.seq)
                > (p_after.ts, p_after.ns, p_after.source_id, p_after.seq)
            window in_order as (order by e.ts, e.ns, e.source_id, e.seq, e.action <> 'clear')
            order by no limit v_limit
        )
        select a.ts, a.ns, a.source_id, a.seq, a.no
        into until.ts, until.ns, until.source_id, until.seq, events
        from ahead a
        where a.flags & 5 <> 1 or a.next_flags & 1 = 0
        order by a.no desc limit 1;
        exit when found;
        select count(*) into v_ahead from (
            select from market._book_events e
            where e.instrument_id = p_instrument_id and e.feed_id = p_feed_id
                and e.ts >= v_from_ts and e.ts <= p_last_ts
                and (e.ts, e.ns, e.source_id, e.seq)
                > (p_after.ts, p_after.ns, p_after.source_id, p_after.seq)
            limit v_limit) e;
        exit when v_ahead < v_limit;
        v_limit := 4 * v_limit;
    end loop;
    events := coalesce(events, 0);
end
$$;
