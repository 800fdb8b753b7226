-- What the pinned instances of one of a session's strategies other than pairs are stepped on, batch by
-- batch, from quotes and features computed anew; one that failed, up to then.
create or replace function backtest._replay_inputs(p_session_id uuid, p_strategy signal.strategies)
returns table (
    instance_id bigint, batch_no bigint, instruments integer[], input signal.step_input, parameters jsonb
)
language sql
stable
rows 50000
set search_path = pg_catalog, pg_temp
as $$
    with mids as materialized (
        select q.batch_no, q.as_of, q.instrument_id,
               (q.bid_price + q.ask_price) / 2.0::float8 / i.price_unit as mid
        from backtest._replay_quotes(p_session_id) q join ref.instruments i using (instrument_id)
    ),
    known as materialized (
        select f.instrument_id, f.features, f.batch_no
        from backtest._replay_features(p_session_id, p_strategy) f
    ),
    -- The last row of a leg is found by halving: a join on a range compares every step with every row.
    places as materialized (
        select k.instrument_id, array_agg(k.batch_no order by k.batch_no) as numbers
        from known k group by k.instrument_id
    ),
    bound as (
        select n.instance_id, n.instruments, n.parameters, min(e.batch_no) as failed_at
        from signal.session_instances si
        join signal.instances n using (instance_id)
        left join signal.strategy_errors e
            on e.session_id = si.session_id and e.strategy_id = n.strategy_id
            and coalesce(e.instance_id, n.instance_id) = n.instance_id
        where si.session_id = p_session_id and n.strategy_id = p_strategy.strategy_id
        group by n.instance_id
    ),
    legs as materialized (
        select b.instance_id, b.failed_at, u.instrument_id, u.leg
        from bound b cross join lateral unnest(b.instruments) with ordinality u (instrument_id, leg)
    ),
    steps as (
        select distinct l.instance_id, m.batch_no, m.as_of
        from legs l join mids m using (instrument_id)
        where (m.batch_no >= l.failed_at) is not true
    ),
    -- Mids and features in one grouping, so that no result is joined with another by a wrong estimate.
    inputs as (
        select s.instance_id, s.batch_no, s.as_of, array_agg(m.mid order by l.leg) as mids,
               case when count(*) filter (where cardinality(k.features) > 0) = count(*)
                   then backtest._join_arrays(k.features order by l.leg) end as features
        from steps s
        join legs l using (instance_id)
        left join mids m on m.instrument_id = l.instrument_id and m.batch_no = s.batch_no
        left join places p on p.instrument_id = l.instrument_id
        left join known k on k.instrument_id = p.instrument_id
            and k.batch_no = p.numbers[width_bucket(s.batch_no, p.numbers)]
        group by s.instance_id, s.batch_no, s.as_of
    )
    select n.instance_id, n.batch_no, b.instruments, row(n.as_of, n.mids, n.features)::signal.step_input, b.parameters
    from inputs n
    join bound b using (instance_id)
$$;
comment on function backtest._replay_inputs(uuid, signal.strategies) is
    'What the instances of one of a session''s strategies are stepped on, computed anew.';
