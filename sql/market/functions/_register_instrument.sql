-- The id of a symbol that a source brings; an unknown one is registered with the source's
-- definition (kind, currency, price_scale, size_scale), or refused with TT002 if p_known_only.
create or replace function market._register_instrument(
    p_symbol text, p_definition jsonb, p_known_only boolean
)
returns integer
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
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
