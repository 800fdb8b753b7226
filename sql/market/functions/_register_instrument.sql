-- The id of a symbol that a source brings; an unknown one is registered with the source's
-- definition (kind, currency, price_scale, size_scale), or refused with TT002 if p_known_only.
-- A source of one day (as_of in its definition) means who had the symbol then, where ref.symbols
-- knows it; any other source means who has it now.
create or replace function market._register_instrument(
    p_symbol text, p_definition jsonb, p_known_only boolean
)
returns integer
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_id integer;
begin
    select s.instrument_id into v_id
    from ref.symbols s
    where s.symbol = p_symbol and s.superseded_at = 'infinity'
        and s.valid_from <= (p_definition->>'as_of')::date
        and s.valid_to > (p_definition->>'as_of')::date;
    if v_id is not null then
        return v_id;
    end if;
    if not p_known_only then
        insert into ref.instruments (symbol, kind, currency, price_scale, size_scale)
        values (p_symbol,
                coalesce(p_definition->>'kind', 'equity'),
                coalesce(p_definition->>'currency', 'USD'),
                coalesce((p_definition->>'price_scale')::smallint, 4),
                coalesce((p_definition->>'size_scale')::smallint, 0))
        on conflict (symbol) do nothing;
    end if;
    return ref.instrument_id(p_symbol);
end
$$;
