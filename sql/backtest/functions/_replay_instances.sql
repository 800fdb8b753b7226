-- Every state of every pinned instance of a session's strategies other than pairs, stepped anew over
-- its batches on quotes and features computed anew; one that failed, up to then. Those of
-- Python strategies are as recorded, which backtest.replay_python_steps is for to compare. problem: what is wrong
-- with a state, or, without an instance, what a strategy's functions raised.
create or replace function backtest._replay_instances(p_session_id uuid)
returns table (
    strategy_id integer, pair_id bigint, batch_no bigint, as_of timestamptz, state jsonb, event text,
    score double precision, instruments integer[], quantities bigint[], problem text
)
language plpgsql
stable
rows 50000
set search_path = pg_catalog, pg_temp
as $$
declare
    v_strategy signal.strategies;
begin
    for v_strategy in
        select s.* from signal.strategies s
        where s.strategy_id in (
            select n.strategy_id
            from signal.session_instances si join signal.instances n using (instance_id)
            where si.session_id = p_session_id)
        order by s.strategy_id
    loop
        begin
            return query execute format($query$
                with states as materialized (
                    select n.instance_id, n.batch_no, (n.input).as_of, n.instruments, %s as state
                    from backtest._replay_inputs($1, $2) n
                )
                select ($2).strategy_id, s.instance_id, s.batch_no, s.as_of, j.as_json, (s.state).event, %s,
                       s.instruments, (s.state).quantities,
                       signal._judge_event(j.as_json, (s.state).event, (s.state).quantities, cardinality(s.instruments))
                from states s cross join lateral (select to_jsonb(s.state) as as_json) j
                $query$,
                case when v_strategy.python_class is null then format(
                    'signal.%I(n.input, jsonb_populate_record(null::%s, n.parameters))
                        over (partition by n.instance_id order by n.batch_no rows unbounded preceding)',
                    'run_' || v_strategy.strategy, v_strategy.parameters_type)
                else '(select jsonb_populate_record(null::signal.python_state, y.state) from signal.python_steps y
                       where y.session_id = $1 and y.instance_id = n.instance_id and y.batch_no = n.batch_no
                           and y.as_of = (n.input).as_of)' end,
                signal._score_of(v_strategy, 's.state'))
            using p_session_id, v_strategy;
        exception when others or assert_failure then
            if signal._is_transient(sqlstate) then
                raise;
            end if;
            return query select v_strategy.strategy_id, null::bigint, null::bigint, null::timestamptz,
                null::jsonb, null::text, null::float8, null::integer[], null::bigint[], sqlerrm;
        end;
    end loop;
end
$$;
comment on function backtest._replay_instances(uuid) is
    'Every state of every instance of a session''s strategies other than pairs, stepped anew.';
