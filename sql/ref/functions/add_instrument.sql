-- Registers an instrument and returns its id. Calling it again with the same definition returns
-- the same id; with another definition it raises TT006, because stored ticks depend on it.
-- p_price_scale, p_size_scale: decimals of stored market-data prices and sizes.
create or replace function ref.add_instrument(
    p_symbol text,
    p_name text default null,
    p_kind text default 'equity',
    p_currency text default 'USD',
    p_sector text default null,
    p_tick_size numeric default 0.01,
    p_lot_size numeric default 1,
    p_price_scale integer default 4,
    p_size_scale integer default 0
)
returns integer
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_found ref.instruments;
begin
    perform ops._audit('ref.add_instrument', p_symbol,
        jsonb_build_object('kind', p_kind, 'currency', p_currency,
            'tick_size', p_tick_size, 'lot_size', p_lot_size));
    insert into ref.instruments
        (symbol, name, kind, currency, sector, tick_size, lot_size, price_scale, size_scale)
    values (p_symbol, p_name, p_kind, p_currency, p_sector, p_tick_size, p_lot_size,
            p_price_scale, p_size_scale)
    on conflict (symbol) do nothing
    returning * into v_found;
    if v_found.instrument_id is null then
        select i.* into strict v_found from ref.instruments i where i.symbol = p_symbol;
        if (v_found.kind, v_found.currency, v_found.tick_size, v_found.lot_size,
            v_found.price_scale, v_found.size_scale)
            is distinct from
            (p_kind, p_currency, p_tick_size, p_lot_size, p_price_scale, p_size_scale)
        then
            raise exception 'instrument % exists with another definition: see ref.instruments',
                p_symbol using errcode = 'TT006';
        end if;
    end if;
    return v_found.instrument_id;
end
$$;
comment on function
    ref.add_instrument(text, text, text, text, text, numeric, numeric, integer, integer) is
    'Registers an instrument and returns its id; the same definition again returns the same id, another raises TT006.';
grant execute on function
    ref.add_instrument(text, text, text, text, text, numeric, numeric, integer, integer) to tsdb_ops;
