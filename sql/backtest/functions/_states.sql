-- The states of a run's strategy: those with an event, or with p_all every one, with its digest.
create or replace function backtest._states(
    p_run jsonb, p_times timestamptz[], p_series backtest.price_series[], p_from timestamptz, p_to timestamptz,
    p_all boolean
)
returns table (
    instance_id bigint, moment integer, as_of timestamptz, event text, target smallint,
    spread double precision, z_score double precision, instruments integer[], quantities bigint[], digest text
)
language plpgsql
stable
rows 20000
set search_path = pg_catalog, pg_temp
as $$
begin
    if p_run->>'strategy' = 'pairs' then
        return query select * from backtest._step_pairs(p_run, p_times, p_series, p_from, p_all);
    else
        -- Without a window of its own a stored session has that of its batches.
        return query select * from backtest._step_instances(p_run, p_times, p_series,
            coalesce(p_from, (
                select min(b.from_ts) from market.batches b where b.session_id = (p_run->>'session_id')::uuid)),
            coalesce(p_to, p_times[cardinality(p_times)]), p_all);
    end if;
end
$$;
comment on function backtest._states(
    jsonb, timestamptz[], backtest.price_series[], timestamptz, timestamptz, boolean) is
    'States of a run''s strategy.';
