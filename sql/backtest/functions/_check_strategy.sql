-- Raises TT002 for a strategy that cannot be stepped.
create or replace function backtest._check_strategy(p_strategy text)
returns void
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
    v_known constant text[] := array(select s.strategy from signal.strategies s where s.state_type is not null order by 1);
begin
    if (p_strategy = any (v_known)) is not true then
        raise exception 'unknown strategy "%"%: use %', p_strategy, ref._did_you_mean(p_strategy, v_known),
            array_to_string(v_known, ', ') using errcode = 'TT002';
    end if;
end
$$;
comment on function backtest._check_strategy(text) is 'Raises TT002 for a strategy that cannot be stepped.';
