-- Since when books are known: the events before are dropped (market.retention), and what lives of
-- them stands in the books' last snapshots before. -infinity when nothing was dropped.
create or replace function market._books_known_from()
returns timestamptz
language sql
stable
as $$
    select coalesce(max(r.dropped_before), '-infinity')
    from market.retention r
    where r.hypertable = 'market._book_events'
$$;
comment on function market._books_known_from() is
    'Since when books are known; what came before is dropped.';
grant execute on function market._books_known_from() to tsdb_reader, tsdb_venue;
