-- The time of the first decisions that a portfolio's step fails on, found by halves.
create or replace function backtest._portfolio_failed_at(
    p_run jsonb, p_times timestamptz[], p_series backtest.price_series[], p_decisions backtest.run_decision[]
)
returns timestamptz
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
    v_times constant timestamptz[] := array(select distinct d.as_of from unnest(p_decisions) d order by 1);
    v_good integer := 0;
    v_bad integer := cardinality(v_times);
    v_middle integer;
begin
    while v_bad - v_good > 1 loop
        v_middle := (v_good + v_bad) / 2;
        begin
            perform from backtest._net_decisions(
                p_run, p_times, p_series, array(select d from unnest(p_decisions) d where d.as_of <= v_times[v_middle]));
            v_good := v_middle;
        exception when others or assert_failure then
            if signal._is_transient(sqlstate) then
                raise;
            end if;
            v_bad := v_middle;
        end;
    end loop;
    return v_times[v_bad];
end
$$;
comment on function backtest._portfolio_failed_at(
    jsonb, timestamptz[], backtest.price_series[], backtest.run_decision[]) is
    'The time of the first decisions that a portfolio''s step fails on.';
