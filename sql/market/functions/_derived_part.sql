-- The part of kind quotes that belongs to a source of book events, made when it is not there yet.
create or replace function market._derived_part(p_source market.sources)
returns market.derived_quotes
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    v_derived market.derived_quotes;
    v_part_id integer;
begin
    select d.* into v_derived
    from market.derived_quotes d where d.book_source_id = p_source.source_id;
    if v_derived.source_id is null then
        insert into market.sources
            (feed_id, sha256, content, name, kind, instrument_id, parent_id, status)
        values (p_source.feed_id, p_source.sha256, p_source.content || '/derived quotes',
                p_source.name, 'quotes', p_source.instrument_id,
                coalesce(p_source.parent_id, p_source.source_id), p_source.status)
        returning source_id into v_part_id;
        insert into market.derived_quotes (book_source_id, source_id, through)
        values (p_source.source_id, v_part_id, row('-infinity', 0, 0, 0)::market.book_position)
        returning * into v_derived;
    end if;
    return v_derived;
end
$$;
