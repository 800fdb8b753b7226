-- Steps every instance of a run of another strategy than pairs, as backtest._step_pairs does.
create or replace function backtest._step_instances(
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
declare
    v_strategy signal.strategies;
begin
    select * into v_strategy from signal.strategies s where s.strategy = p_run->>'strategy';
    return query execute format($query$
        with states as (
            select n.instance_id, n.moment, (n.input).as_of, n.instruments,
                   signal.%I(n.input, jsonb_populate_record(null::%s, n.parameters))
                       over (partition by n.instance_id order by n.moment rows unbounded preceding) as state
            from backtest._step_inputs($1, $2, $3, $4, $5) n
        )
        select s.instance_id, s.moment, s.as_of, (s.state).event,
               (select sign(u.quantity)::smallint from unnest((s.state).quantities) with ordinality u (quantity, leg)
                order by u.quantity = 0, u.leg limit 1),
               null::float8, %s, s.instruments, (s.state).quantities,
               case when $6 then md5(record_send(s.state)) end
        from states s
        where $6 or (s.state).event is not null
        $query$,
        'run_' || v_strategy.strategy, v_strategy.parameters_type, signal._score_of(v_strategy, 's.state'))
    using p_run, p_times, p_series, p_from, p_to, p_all;
end
$$;
comment on function backtest._step_instances(
    jsonb, timestamptz[], backtest.price_series[], timestamptz, timestamptz, boolean) is
    'States of a run''s instances.';
