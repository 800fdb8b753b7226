-- Says which sector an instrument is in (null: none), as portfolios and exposures group it. It holds from now
-- on and keeps no history: sessions and runs with a portfolio pin what they read. Returns the instrument_id.
-- Errors: TT002 unknown symbol, TT001 an empty sector.
create or replace function ref.set_sector(p_symbol text, p_sector text)
returns integer
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_id integer := ref.instrument_id(p_symbol);
begin
    perform ops._audit('ref.set_sector', p_symbol, jsonb_build_object('sector', p_sector));
    if trim(p_sector) = '' then
        raise exception 'a sector has a name; null is none' using errcode = 'TT001';
    end if;
    update ref.instruments set sector = trim(p_sector) where instrument_id = v_id;
    return v_id;
end
$$;
comment on function ref.set_sector(text, text) is
    'Says which sector an instrument is in, null for none; returns its id.';
grant execute on function ref.set_sector(text, text) to tsdb_ops;
