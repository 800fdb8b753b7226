-- The members of an index on a day, by what was known at p_known_at: those of then, not those that
-- are left of them today. symbol: the one of that day. Raises TT002 for an index nobody recorded.
create or replace function ref.universe(
    p_index text, p_as_of date, p_known_at timestamptz default pg_catalog.now()
)
returns table (instrument_id integer, symbol text, weight numeric)
language plpgsql
stable
as $$
#variable_conflict use_column
begin
    if not exists (select from ref.index_members m where m.index_name = p_index) then
        raise exception 'unknown index %: record its members with ref.record',
            coalesce(p_index, 'null') using errcode = 'TT002';
    end if;
    return query
    select m.instrument_id, ref.symbol(m.instrument_id, p_as_of), m.weight
    from ref.index_members m
    where m.index_name = p_index and m.valid_from <= p_as_of and p_as_of < m.valid_to
        and ref._known(m.known_at, m.superseded_at, p_known_at)
    order by 2;
end
$$;
comment on function ref.universe(text, date, timestamptz) is
    'The members of an index on a day, as known at a time (now by default): no survivorship bias.';
grant execute on function ref.universe(text, date, timestamptz) to tsdb_reader;
