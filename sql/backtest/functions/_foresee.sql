-- What is known of a run's limits before it starts, as its first warnings.
create or replace function backtest._foresee(p_run jsonb, p_costs backtest.cost_models)
returns jsonb
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
    select coalesce(jsonb_agg(w.warning), '[]')
    from (
        select jsonb_build_object('kind', 'same_price',
            'detail', 'filled at the very price decided on, which nobody can do on bars') as warning
        where p_run->>'fill' = 'same' and p_run->>'source' in ('bars', 'daily')
        union all
        select jsonb_build_object('kind', 'no_impact', 'detail', 'impact needs daily volumes: source daily')
        where p_costs.impact_coefficient > 0 and p_run->>'source' <> 'daily'
        union all
        select jsonb_build_object('kind', 'in_sample', 'detail', 'instances were stepped outside of their validity')
        where (p_run->>'in_sample')::boolean
    ) w
$$;
comment on function backtest._foresee(jsonb, backtest.cost_models) is 'Warnings that need no simulation.';
