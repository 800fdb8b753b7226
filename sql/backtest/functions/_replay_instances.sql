-- Every state of every pinned instance of a session's strategies other than pairs, stepped anew over
-- its batches on quotes and features computed anew; one that failed, up to then. problem: what is wrong
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
                with mids as materialized (
                    select q.batch_no, q.as_of, q.instrument_id,
                           (q.bid_price + q.ask_price) / 2.0::float8 / i.price_unit as mid
                    from backtest._replay_quotes($1) q join ref.instruments i using (instrument_id)
                ),
                known as materialized (
                    select f.instrument_id, f.features, f.batch_no,
                           lead(f.batch_no, 1, 9223372036854775807) over (
                               partition by f.instrument_id order by f.batch_no) as until
                    from backtest._replay_features($1, $2) f
                ),
                bound as (
                    select n.instance_id, n.instruments, n.parameters, min(e.batch_no) as failed_at
                    from signal.session_instances si
                    join signal.instances n using (instance_id)
                    left join signal.strategy_errors e
                        on e.session_id = si.session_id and e.strategy_id = n.strategy_id
                        and coalesce(e.instance_id, n.instance_id) = n.instance_id
                    where si.session_id = $1 and n.strategy_id = ($2).strategy_id
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
                inputs as (
                    select s.instance_id, s.batch_no, s.as_of, array_agg(m.mid order by l.leg) as mids
                    from steps s
                    join legs l using (instance_id)
                    left join mids m on m.instrument_id = l.instrument_id and m.batch_no = s.batch_no
                    group by s.instance_id, s.batch_no, s.as_of
                ),
                features as (
                    select s.instance_id, s.batch_no, array_agg(u.feature order by l.leg, u.place) as features
                    from steps s
                    join legs l using (instance_id)
                    join known k on k.instrument_id = l.instrument_id
                        and k.batch_no <= s.batch_no and s.batch_no < k.until
                    cross join lateral unnest(k.features) with ordinality u (feature, place)
                    group by s.instance_id, s.batch_no
                    having count(distinct l.leg) = (
                        select count(*) from legs x where x.instance_id = s.instance_id)
                ),
                states as (
                    select n.instance_id, n.batch_no, n.as_of, b.instruments,
                           signal.%I(row(n.as_of, n.mids, f.features)::signal.step_input,
                                jsonb_populate_record(null::%s, b.parameters))
                               over (partition by n.instance_id order by n.batch_no rows unbounded preceding) as state
                    from inputs n
                    join bound b using (instance_id)
                    left join features f using (instance_id, batch_no)
                )
                select ($2).strategy_id, s.instance_id, s.batch_no, s.as_of, j.as_json, (s.state).event, %s,
                       s.instruments, (s.state).quantities,
                       signal._judge_event(j.as_json, (s.state).event, (s.state).quantities, cardinality(s.instruments))
                from states s cross join lateral (select to_jsonb(s.state) as as_json) j
                $query$, 'run_' || v_strategy.strategy, v_strategy.parameters_type,
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
