-- Which code of a strategy is installed: a hash of the sources of its step and inputs functions, for
-- the code version of calibrations and backtest runs; of a Python class what it was registered with. Null for a strategy that is not stepped.
-- Errors: TT002 unknown strategy.
create or replace function signal.code_hash(p_strategy text default 'pairs')
returns text
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
    v_strategy signal.strategies;
begin
    select * into v_strategy from signal.strategies s where s.strategy = p_strategy;
    if not found then
        raise exception 'strategy "%" does not exist', p_strategy using errcode = 'TT002';
    end if;
    return (
        select md5(nullif(concat(v_strategy.python_hash, string_agg(p.prosrc, '' order by f.place)), ''))
        from (values (1, v_strategy.step), (2, v_strategy.inputs)) f (place, name)
        join pg_proc p on format('%s.%I', p.pronamespace::regnamespace, p.proname) = f.name);
end
$$;
comment on function signal.code_hash(text) is 'Hash of the installed functions of a strategy.';
grant execute on function signal.code_hash(text) to tsdb_reader;
