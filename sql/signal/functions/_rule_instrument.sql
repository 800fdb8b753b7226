-- The instrument of a symbol in a rule; TT002 with the closest symbol when there is none.
create or replace function signal._rule_instrument(p_symbol text)
returns integer
language plpgsql
stable
as $$
declare
    v_id integer;
begin
    select i.instrument_id into v_id from ref.instruments i where i.symbol = p_symbol;
    if v_id is null then
        perform signal._check_word('instrument', p_symbol, array(
            select i.symbol from ref.instruments i order by i.symbol));
    end if;
    return v_id;
end
$$;
comment on function signal._rule_instrument(text) is 'The instrument of a symbol that a rule names.';
