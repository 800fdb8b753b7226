-- The instances of a strategy to step on a batch of a session, with what their step is given: those
-- pinned to it that no error has stopped and of which a leg had a quote in the batch.
-- plpgsql, because a function in language sql is planned again at every call.
create or replace function signal._due_instances(
    p_session_id uuid,
    p_strategy_id integer,
    p_batch_id bigint,
    p_batch_no bigint,
    p_as_of timestamptz
)
returns table (
    instance_id bigint, instruments integer[], state jsonb, input signal.step_input, parameters jsonb
)
language plpgsql
stable
as $$
#variable_conflict use_column
begin
    return query
    with bound as materialized (
        select n.instance_id, n.instruments, n.parameters
        from signal.session_instances si
        join signal.instances n on n.instance_id = si.instance_id
        where si.session_id = p_session_id and n.strategy_id = p_strategy_id
            and not exists (
                select from signal.strategy_errors e
                where e.session_id = p_session_id and e.strategy_id = p_strategy_id
                    and coalesce(e.instance_id, n.instance_id) = n.instance_id)
    ),
    legs as materialized (
        select b.instance_id, u.instrument_id, u.leg
        from bound b cross join lateral unnest(b.instruments) with ordinality u (instrument_id, leg)
    ),
    news as (
        select l.instance_id,
               array_agg((q.bid_price + q.ask_price) / 2.0::float8 / i.price_unit order by l.leg) as mids
        from legs l
        left join market.batch_quotes q
            on q.instrument_id = l.instrument_id and q.batch_id = p_batch_id and q.as_of = p_as_of
        left join ref.instruments i on i.instrument_id = q.instrument_id
        group by l.instance_id
        having count(q.instrument_id) > 0
    ),
    known as (
        select l.instrument_id, f.features
        from (select distinct k.instrument_id from legs k) l
        cross join lateral (
            select f.features from signal.batch_features f
            where f.session_id = p_session_id and f.strategy_id = p_strategy_id
                and f.instrument_id = l.instrument_id and f.batch_no <= p_batch_no
            order by f.batch_no desc limit 1) f
    ),
    features as (
        select l.instance_id, array_agg(u.feature order by l.leg, u.place) as features
        from legs l
        join known k on k.instrument_id = l.instrument_id
        cross join lateral unnest(k.features) with ordinality u (feature, place)
        where not exists (
            select from legs o
            where o.instance_id = l.instance_id and o.instrument_id not in (select x.instrument_id from known x))
        group by l.instance_id
    )
    select b.instance_id, b.instruments, s.state,
           row(p_as_of, n.mids, f.features)::signal.step_input, b.parameters
    from bound b
    join news n using (instance_id)
    left join features f using (instance_id)
    left join signal.instance_states s on s.session_id = p_session_id and s.instance_id = b.instance_id;
end
$$;
comment on function signal._due_instances(uuid, integer, bigint, bigint, timestamptz) is
    'The instances of a strategy to step on a batch of a session.';
