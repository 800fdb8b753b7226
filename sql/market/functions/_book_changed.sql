-- Notes that events of books changed, in the transaction that changed them: events of the book
-- p_instrument_ids[n] of the feed p_feed_ids[n] from p_first_ts[n] on were written, late or not.
-- What was made from the books after that, snapshots and derived quotes, is dropped or done anew.
-- Whoever makes such things holds the lock of the feed alone, so none can be made from events that
-- miss those of a transaction not committed yet. Snapshots that stand for dropped events stay.
create or replace function market._book_changed(
    p_instrument_ids integer[], p_feed_ids integer[], p_first_ts timestamptz[]
)
returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_known_from timestamptz := market._books_known_from();
begin
    perform pg_advisory_xact_lock_shared(7418530, f.feed_id)
    from (select distinct unnest(p_feed_ids) as feed_id order by 1) f;
    -- Statements of their own: they see what was made before the lock was had.
    delete from market.book_snapshots s
    using unnest(p_instrument_ids, p_feed_ids, p_first_ts) c (instrument_id, feed_id, first_ts)
    where s.instrument_id = c.instrument_id and s.feed_id = c.feed_id
        and s.ts >= greatest(c.first_ts, v_known_from);
    update market.derived_quotes d
    set through = market._book_end(greatest(c.first_ts, v_known_from) - interval '1 microsecond')
    from unnest(p_instrument_ids, p_feed_ids, p_first_ts) c (instrument_id, feed_id, first_ts)
    join market.sources s on s.instrument_id = c.instrument_id and s.feed_id = c.feed_id
        and s.kind = 'book_events'
    where d.book_source_id = s.source_id and (d.through).ts >= greatest(c.first_ts, v_known_from);
end
$$;
comment on function market._book_changed(integer[], integer[], timestamptz[]) is
    'Drops what was made from books whose events changed from a time on.';
