-- What a trader watches of strategies other than pairs: every instance of every session, its last
-- signal, where it stands and what stopped it.
create or replace view signal.instance_monitor as
select
    s.session_id, s.name as session, s.status, t.strategy, si.instance_id, si.account,
    l.symbols, g.as_of as signal_as_of, g.event as last_event, g.target, g.z_score as score,
    g.traded, g.refusal, st.batch_no, st.state, n.parameters, e.message as error, l.blocked_by
from signal.session_instances si
join ops.sessions s on s.session_id = si.session_id
join signal.instances n on n.instance_id = si.instance_id
join signal.strategies t on t.strategy_id = n.strategy_id
cross join lateral (
    select array_agg(i.symbol order by u.leg) as symbols,
           array_agg(i.symbol || ' is ' || i.status order by u.leg) filter (where i.status <> 'active') as blocked_by
    from unnest(n.instruments) with ordinality u (instrument_id, leg)
    join ref.instruments i on i.instrument_id = u.instrument_id) l
left join signal.instance_states st on st.session_id = si.session_id and st.instance_id = si.instance_id
left join signal.strategy_errors e
    on e.session_id = si.session_id and e.strategy_id = n.strategy_id
    and coalesce(e.instance_id, si.instance_id) = si.instance_id
left join lateral (
    select g.* from signal.signals g
    where g.session_id = si.session_id and g.pair_id = si.instance_id
    order by g.as_of desc, g.signal_id desc limit 1) g on true;
comment on view signal.instance_monitor is
    'Every instance of strategies other than pairs in every session: last signal, state, parameters, what stopped it.';
