-- The id of a symbol. Case matters. Raises TT002 for a symbol nobody registered.
create or replace function ref.instrument_id(p_symbol text)
returns integer
language plpgsql
stable
parallel safe
as $$
declare
    v_id integer;
begin
    select i.instrument_id into v_id from ref.instruments i where i.symbol = p_symbol;
    if v_id is null then
        raise exception 'unknown symbol %: load its ticks or call ref.add_instrument',
            coalesce(p_symbol, 'null')
            using errcode = 'TT002';
    end if;
    return v_id;
end
$$;
comment on function ref.instrument_id(text) is
    'The instrument_id of a symbol; raises TT002 when it is not registered.';
grant execute on function ref.instrument_id(text)
    to tsdb_worker, tsdb_venue, tsdb_quant, tsdb_readonly, tsdb_operator;
