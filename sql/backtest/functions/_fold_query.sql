-- The text of a query that folds a strategy's step over inputs, a relation of instance_id, moment, instruments,
-- input and parameters: a backtest.run_state as found for each state that has an event or cannot be one, with
-- p_all for every state, with its digest.
create or replace function backtest._fold_query(p_strategy signal.strategies, p_inputs text, p_all boolean)
returns text
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
    select format($query$
        with states as (
            select n.instance_id, n.moment, (n.input).as_of, n.instruments,
                   signal.%I(n.input, jsonb_populate_record(null::%s, n.parameters))
                       over (partition by n.instance_id order by n.moment rows unbounded preceding) as state
            from %s n
        )
        select row(s.instance_id, s.moment, s.as_of, (s.state).event,
                   (select sign(u.quantity)::smallint from unnest((s.state).quantities) with ordinality u (quantity, leg)
                    order by u.quantity = 0, u.leg limit 1),
                   null::float8, %s, s.instruments, (s.state).quantities,
                   case when %L then md5(record_send(s.state)) end,
                   case when p.problem is not null then 'TT001' end, p.problem)::backtest.run_state as found
        from states s
        cross join lateral (
            select signal._judge_event(case when s.state is distinct from null then '{}'::jsonb end,
                       (s.state).event, (s.state).quantities, cardinality(s.instruments)) as problem) p
        where %L or (s.state).event is not null or not (s.state is distinct from null)
        $query$,
        'run_' || p_strategy.strategy, p_strategy.parameters_type, p_inputs, signal._score_of(p_strategy, 's.state'),
        p_all, p_all)
$$;
comment on function backtest._fold_query(signal.strategies, text, boolean) is
    'The text of a query that folds a strategy''s step over inputs.';
