-- Carries every book over a time before which its events are about to be dropped: its last event
-- before it gets a snapshot, and older snapshots, which nothing leads on from, go. For
-- market.apply_retention, in the transaction that drops.
create or replace function market._carry_books(p_until timestamptz)
returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
as $$
declare
    v_book record;
    v_last market.book_snapshots;
    v_since record;
    v_at market.book_position;
begin
    for v_book in
        select distinct s.feed_id, s.instrument_id
        from market.sources s
        where s.kind = 'book_events' and s.instrument_id is not null and s.first_ts < p_until
        order by s.feed_id, s.instrument_id
    loop
        -- No writer of the feed may have events that we do not see: market._book_changed.
        perform pg_advisory_xact_lock(7418530, v_book.feed_id);
        select s.* into v_last
        from market.book_snapshots s
        where s.instrument_id = v_book.instrument_id and s.feed_id = v_book.feed_id
            and s.ts < p_until
        order by s.ts desc, s.ns desc, s.source_id desc, s.seq desc
        limit 1;
        select count(*) as events,
               (array_agg(row(e.ts, e.ns, e.source_id, e.seq)::market.book_position
                order by e.ts desc, e.ns desc, e.source_id desc, e.seq desc))[1] as last
        into v_since
        from market._book_events e
        where e.instrument_id = v_book.instrument_id and e.feed_id = v_book.feed_id
            and e.ts < p_until and e.ts >= coalesce(v_last.ts, '-infinity')
            and (v_last.ts is null or (e.ts, e.ns, e.source_id, e.seq)
                > (v_last.ts, v_last.ns, v_last.source_id, v_last.seq));
        if v_since.events > 0 then
            v_at := v_since.last;
            perform market._write_book_snapshot(
                v_book.instrument_id, v_book.feed_id, v_at,
                coalesce(v_last.event_count, 0) + v_since.events);
        else
            v_at := row(v_last.ts, v_last.ns, v_last.source_id, v_last.seq);
        end if;
        delete from market.book_snapshots s
        where s.instrument_id = v_book.instrument_id and s.feed_id = v_book.feed_id
            and (s.ts, s.ns, s.source_id, s.seq)
                < (v_at.ts, v_at.ns, v_at.source_id, v_at.seq);
    end loop;
end
$$;
comment on function market._carry_books(timestamptz) is
    'Carries every book over a time before which its events are about to be dropped.';
