-- Statement trigger: book events changed by other means than a source's writer, which notes its own
-- (market.advance_source) and says so with set_config('tsdb_trader.ranges_noted', 'on', true).
-- Nobody says which events, so everything made from books is dropped or done anew. Such changes are
-- rare, and a trigger that looks at rows would cost every COPY. Snapshots that stand for dropped
-- events stay.
create or replace function market._book_changed_by_hand()
returns trigger
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    perform pg_advisory_xact_lock_shared(7418530, f.feed_id)
    from (select o.feed_id from ops.feeds o order by o.feed_id) f;
    delete from market.book_snapshots s where s.ts >= market._books_known_from();
    update market.derived_quotes d
    set through = row(market._books_known_from(), 0, 0, 0)::market.book_position
    where (d.through).ts >= market._books_known_from();
    return null;
end
$$;
create or replace trigger note_book_changed before insert or update or delete or truncate
on market._book_events for each statement
when (current_setting('tsdb_trader.ranges_noted', true) is distinct from 'on')
execute function market._book_changed_by_hand();
