-- Moves a source's resume point from row p_from_row to p_to_row, in the transaction that stored
-- those rows: p_stored, p_quarantined, and p_missing that never came; p_duplicates came again and
-- are no rows. Part n (market.open_parts, or the source itself) got p_counts[n] rows between
-- p_first_ts[n] and p_last_ts[n].
-- Raises TT006 when the source stands elsewhere: somebody else is loading it.
create or replace function market.advance_source(
    p_source_id integer,
    p_from_row bigint,
    p_to_row bigint,
    p_stored bigint,
    p_quarantined bigint,
    p_missing bigint,
    p_duplicates bigint,
    p_complete boolean,
    p_parts integer[],
    p_counts bigint[],
    p_first_ts timestamptz[],
    p_last_ts timestamptz[]
)
returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    update market.sources s
    set next_row = p_to_row,
        rows_read = s.rows_read + p_stored + p_quarantined,
        rows_stored = s.rows_stored + p_stored,
        rows_quarantined = s.rows_quarantined + p_quarantined,
        rows_missing = s.rows_missing + p_missing,
        rows_duplicate = s.rows_duplicate + p_duplicates,
        first_ts = least(s.first_ts, (select min(t.ts) from unnest(p_first_ts) t (ts))),
        last_ts = greatest(s.last_ts, (select max(t.ts) from unnest(p_last_ts) t (ts))),
        status = case when p_complete then 'complete' else 'loading' end
    where s.source_id = p_source_id and s.next_row = p_from_row and s.status = 'loading';
    if not found then
        raise exception 'source % does not stand at row %: another load is storing it',
            p_source_id, p_from_row using errcode = 'TT006';
    end if;
    update market.sources s
    set rows_read = s.rows_read + n.count,
        rows_stored = s.rows_stored + n.count,
        first_ts = least(s.first_ts, n.first_ts),
        last_ts = greatest(s.last_ts, n.last_ts)
    from unnest(p_parts, p_counts, p_first_ts, p_last_ts) n (source_id, count, first_ts, last_ts)
    where s.source_id = n.source_id and s.parent_id = p_source_id;
    if p_complete then
        update market.sources s set status = 'complete' where s.parent_id = p_source_id;
    end if;
    perform market.invalidate_rollups(
        case s.kind when 'quotes' then 'market._quotes' else 'market._trades' end::regclass,
        min(n.first_ts), max(n.last_ts))
    from unnest(p_parts, p_first_ts, p_last_ts) n (source_id, first_ts, last_ts)
    join market.sources s on s.source_id = n.source_id
    where s.kind in ('quotes', 'trades')
    group by s.kind;
    perform market._book_changed(
        array_agg(s.instrument_id), array_agg(s.feed_id), array_agg(n.first_ts))
    from unnest(p_parts, p_first_ts) n (source_id, first_ts)
    join market.sources s on s.source_id = n.source_id
    where s.kind = 'book_events'
    having count(*) > 0;
    perform market._note_quality(
        s.feed_id, array_agg(s.instrument_id), array_agg(n.first_ts), array_agg(n.last_ts))
    from unnest(p_parts, p_first_ts, p_last_ts) n (source_id, first_ts, last_ts)
    join market.sources s on s.source_id = n.source_id
    where s.kind in ('quotes', 'trades', 'book_events')
    group by s.feed_id;
end
$$;
comment on function market.advance_source(
    integer, bigint, bigint, bigint, bigint, bigint, bigint, boolean, integer[], bigint[],
    timestamptz[], timestamptz[]) is
    'Moves a source''s resume point with the rows stored in the same transaction.';
grant execute on function market.advance_source(
    integer, bigint, bigint, bigint, bigint, bigint, bigint, boolean, integer[], bigint[],
    timestamptz[], timestamptz[]) to tsdb_worker_feeds;
