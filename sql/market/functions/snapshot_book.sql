-- Makes the next snapshot of a book, after as many events since its last one as p_every and the
-- orders in that one; returns whether there were so many. Snapshots cost nothing but space: with
-- them market.book_at reads no more than about 2 * p_every events or orders, whatever the history.
-- Raises TT001 for a p_every below 1.
create or replace function market.snapshot_book(
    p_instrument_id integer, p_feed_id integer, p_every integer default 5000
)
returns boolean
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
as $$
declare
    v_last market.book_snapshots;
    v_from_ts timestamptz;
    v_at market.book_position;
    v_wanted bigint;
begin
    if coalesce(p_every, 0) < 1 then
        raise exception 'a snapshot every % events cannot be: say 1 or more',
            coalesce(p_every::text, 'null') using errcode = 'TT001';
    end if;
    -- No writer of the feed may have events that we do not see: market._book_changed.
    perform pg_advisory_xact_lock(7418530, p_feed_id);
    select s.* into v_last
    from market.book_snapshots s
    where s.instrument_id = p_instrument_id and s.feed_id = p_feed_id
    order by s.ts desc, s.ns desc, s.source_id desc, s.seq desc
    limit 1;
    v_wanted := greatest(p_every, cardinality(v_last.order_ids));
    v_from_ts := coalesce(v_last.ts, '-infinity');
    select e.ts, e.ns, e.source_id, e.seq into v_at
    from market._book_events e
    where e.instrument_id = p_instrument_id and e.feed_id = p_feed_id and e.ts >= v_from_ts
        and (v_last.ts is null or (e.ts, e.ns, e.source_id, e.seq)
            > (v_last.ts, v_last.ns, v_last.source_id, v_last.seq))
    order by e.ts, e.ns, e.source_id, e.seq
    offset v_wanted - 1 limit 1;
    if not found then
        return false;
    end if;
    perform market._write_book_snapshot(
        p_instrument_id, p_feed_id, v_at, coalesce(v_last.event_count, 0) + v_wanted);
    return true;
end
$$;
comment on function market.snapshot_book(integer, integer, integer) is
    'Makes the next snapshot of a book (instrument, feed) if it has so many events since the last; returns whether it did.';
grant execute on function market.snapshot_book(integer, integer, integer) to tsdb_worker_scheduler, tsdb_ops;
