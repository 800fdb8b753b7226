-- Steps every due instance of a strategy on a batch of a session, in one statement: the states are
-- kept, the number of instances and what they decided returned. Instances that return null or signal
-- without a quantity and a quote per leg are recorded as failed, and keep their state.
create or replace function signal._step_instances(
    p_batch market.batches,
    p_strategy signal.strategies,
    out stepped integer,
    out decisions signal.decision[]
)
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    v_failed bigint;
    v_problem text;
    v_stepped integer;
    v_decisions signal.decision[];
begin
    for v_failed, v_problem, v_stepped, v_decisions in execute format($statement$
        -- Materialised: the step function must run once per instance.
        with stepped as materialized (
            select d.instance_id, d.instruments, %s as state
            from signal._due_instances($1, $2, $3, $4, $5) d
        ),
        judged as materialized (
            select t.*, j.as_json, coalesce(
                signal._judge_event(j.as_json, (t.state).event, (t.state).quantities, cardinality(t.instruments)),
                (select 'a signal before the first quote of instrument ' || u.instrument_id
                 from unnest(t.instruments) u (instrument_id)
                 where (t.state).event is not null and not exists (
                     select from market.batch_quotes q
                     where q.session_id = $1 and q.instrument_id = u.instrument_id
                         and q.as_of <= $5 and q.batch_no <= $4)
                 limit 1)) as problem
            from stepped t cross join lateral (select to_jsonb(t.state) as as_json) j
        ),
        saved as (
            insert into signal.instance_states (session_id, instance_id, batch_id, batch_no, state)
            select $1, t.instance_id, $3, $4, t.as_json from judged t where t.problem is null
            on conflict (session_id, instance_id) do update
            set batch_id = excluded.batch_id, batch_no = excluded.batch_no, state = excluded.state
        )
        select null::bigint as instance_id, null::text as problem, count(*) as stepped,
               array_agg(row($2, t.instance_id, (t.state).event, coalesce((
                       select sign(u.quantity) from unnest((t.state).quantities) with ordinality u (quantity, leg)
                       where u.quantity <> 0 order by u.leg limit 1), 0), null, %s,
                       t.instruments, (t.state).quantities, true, null)::signal.decision
                   order by t.instance_id) filter (where (t.state).event is not null) as decisions
        from judged t where t.problem is null
        union all
        select t.instance_id, t.problem, 0, null from judged t where t.problem is not null
        $statement$,
        -- What a worker handed over is the result of the step of a Python strategy.
        case when p_strategy.python_class is null then signal._step_call(p_strategy)
            else '(select jsonb_populate_record(null::signal.python_state, y.state) from signal.python_steps y
                   where y.session_id = $1 and y.instance_id = d.instance_id and y.batch_no = $4 and y.as_of = $5)' end,
        signal._score_of(p_strategy, 't.state'))
    using p_batch.session_id, p_strategy.strategy_id, p_batch.batch_id, p_batch.batch_no, p_batch.as_of
    loop
        if v_failed is null then
            stepped := v_stepped;
            decisions := v_decisions;
        else
            perform signal._record_error(
                p_batch, p_strategy.strategy_id, v_failed, 'TT001', v_problem);
        end if;
    end loop;
end
$$;
comment on function signal._step_instances(market.batches, signal.strategies) is
    'Steps every due instance of a strategy on a batch; how many, and what they decided.';
