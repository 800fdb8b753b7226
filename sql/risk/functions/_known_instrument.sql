-- The id of the instrument that has a symbol now, as orders name it. Errors: TT002 none has.
create or replace function risk._known_instrument(p_symbol text)
returns integer
language plpgsql
stable
as $$
declare
    v_instrument_id constant integer := (select i.instrument_id from ref.instruments i where i.symbol = p_symbol);
begin
    if v_instrument_id is null then
        raise exception 'instrument "%" does not exist', coalesce(p_symbol, 'null') using errcode = 'TT002';
    end if;
    return v_instrument_id;
end
$$;
comment on function risk._known_instrument(text) is 'The id of an instrument that exists.';
