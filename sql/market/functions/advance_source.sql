-- Moves a source's resume point from row p_from_row to p_to_row, in the transaction that stored
-- those rows. p_first_ts and p_last_ts span the rows stored, null when there were none.
-- Raises TT006 when the source stands elsewhere: somebody else is loading it.
create or replace function market.advance_source(
    p_source_id integer,
    p_from_row bigint,
    p_to_row bigint,
    p_stored bigint,
    p_quarantined bigint,
    p_first_ts timestamptz,
    p_last_ts timestamptz,
    p_complete boolean
)
returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    update market.sources s
    set next_row = p_to_row,
        rows_read = s.rows_read + (p_to_row - p_from_row),
        rows_stored = s.rows_stored + p_stored,
        rows_quarantined = s.rows_quarantined + p_quarantined,
        first_ts = least(s.first_ts, p_first_ts),
        last_ts = greatest(s.last_ts, p_last_ts),
        status = case when p_complete then 'complete' else 'loading' end
    where s.source_id = p_source_id and s.next_row = p_from_row and s.status = 'loading';
    if not found then
        raise exception 'source % does not stand at row %: another load is storing it',
            p_source_id, p_from_row using errcode = 'TT006';
    end if;
    if p_stored > 0 then
        perform market.invalidate_rollups(
            case s.kind when 'quotes' then 'market._quotes' else 'market._trades' end::regclass,
            p_first_ts, p_last_ts)
        from market.sources s where s.source_id = p_source_id;
    end if;
end
$$;
comment on function market.advance_source(
    integer, bigint, bigint, bigint, bigint, timestamptz, timestamptz, boolean) is
    'Moves a source''s resume point with the rows stored in the same transaction.';
grant execute on function market.advance_source(
    integer, bigint, bigint, bigint, bigint, timestamptz, timestamptz, boolean) to tsdb_worker;
