-- The states of a run's strategy: those with an event or a problem (what a step raised, or what is wrong with
-- what it returned), or with p_all every one, with its digest. Those after a problem of their instance may be there.
create or replace function backtest._states(
    p_run jsonb, p_times timestamptz[], p_series backtest.price_series[], p_from timestamptz, p_to timestamptz,
    p_all boolean
)
returns setof backtest.run_state
language plpgsql
stable
rows 20000
set search_path = pg_catalog, pg_temp
as $$
begin
    if p_run->>'strategy' = 'pairs' then
        return query select * from backtest._step_pairs(p_run, p_times, p_series, p_from, p_all);
    elsif exists (
        select from signal.strategies s where s.strategy = p_run->>'strategy' and s.python_class is not null)
    then
        return query select * from backtest._python_states(p_run, p_times, p_series, p_from, p_to, p_all);
    else
        return query select * from backtest._step_instances(p_run, p_times, p_series, p_from, p_to, p_all);
    end if;
end
$$;
comment on function backtest._states(
    jsonb, timestamptz[], backtest.price_series[], timestamptz, timestamptz, boolean) is
    'States of a run''s strategy.';
