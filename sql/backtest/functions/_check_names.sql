-- Raises TT001 for a parameter that neither backtest.run nor the strategy has.
create or replace function backtest._check_names(p_strategy text, p_parameters jsonb)
returns void
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
    v_known constant text[] := backtest._own_parameters() || (
        select signal._parameter_names(s) from signal.strategies s where s.strategy = p_strategy);
    v_key text;
begin
    select k into v_key from jsonb_object_keys(p_parameters) k where k <> all (v_known) order by k limit 1;
    if v_key is not null then
        raise exception 'unknown parameter "%"%: use %', v_key, ref._did_you_mean(v_key, v_known),
            array_to_string(v_known, ', ') using errcode = 'TT001';
    end if;
end
$$;
comment on function backtest._check_names(text, jsonb) is
    'Raises TT001 for a parameter that neither backtest.run nor the strategy has.';
