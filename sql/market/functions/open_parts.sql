-- Registers what a source of many holds: p_kinds[n] of p_symbols[n] (null: of no instrument), or
-- finds it again. Ticks carry the part's source_id. New symbols are registered with p_definition,
-- or refused with TT002 if p_known_only. TT002 also for an unknown source.
create or replace function market.open_parts(
    p_source_id integer,
    p_kinds text[],
    p_symbols text[],
    p_definition jsonb default '{}',
    p_known_only boolean default false
)
returns table (
    kind text,
    symbol text,
    source_id integer,
    instrument_id integer,
    price_scale smallint,
    size_scale smallint
)
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    v_parent market.sources;
    v_instruments integer[];
begin
    select s.* into v_parent from market.sources s where s.source_id = p_source_id;
    if v_parent.source_id is null then
        raise exception 'unknown source %', p_source_id using errcode = 'TT002';
    end if;
    -- A statement of its own, so that the next one sees what it registers.
    select array_agg(
        case when w.symbol is not null then
            market._register_instrument(w.symbol, p_definition, p_known_only) end
        order by w.no)
    into v_instruments
    from unnest(p_symbols) with ordinality w (symbol, no);
    return query
    with wanted as materialized (
        select w.kind, w.symbol, w.instrument_id,
               pg_catalog.concat_ws('/', v_parent.content, w.symbol, w.kind) as content
        from unnest(p_kinds, p_symbols, v_instruments) w (kind, symbol, instrument_id)
    ),
    added as (
        insert into market.sources
            (feed_id, sha256, content, name, kind, instrument_id, parent_id)
        select v_parent.feed_id, v_parent.sha256, w.content, v_parent.name, w.kind,
               w.instrument_id, v_parent.source_id
        from wanted w
        on conflict (feed_id, sha256, content) do nothing
        returning market.sources.source_id, market.sources.content
    ),
    known as (
        select a.source_id, a.content from added a
        union all
        select s.source_id, s.content from market.sources s
        where s.parent_id = v_parent.source_id
    )
    select w.kind, w.symbol, k.source_id, w.instrument_id,
           coalesce(i.price_scale, 4::smallint), coalesce(i.size_scale, 0::smallint)
    from wanted w
    join known k on k.content = w.content
    left join ref.instruments i on i.instrument_id = w.instrument_id;
end
$$;
comment on function market.open_parts(integer, text[], text[], jsonb, boolean) is
    'Registers the kinds and instruments that a source of many holds, or finds them again.';
grant execute on function market.open_parts(integer, text[], text[], jsonb, boolean) to tsdb_worker_feeds;
