-- risk.var_at of every open session that holds something, as of its latest mark.
create or replace view risk.var_current as
select s.session_id, s.name as session, v.account, v.strategy_id, t.strategy, v.method, v.confidence, v.horizon_days,
    v.var, v.expected_shortfall, v.positions, v.observations, v.as_of, v.watermark, v.reason
from ops.sessions s
cross join lateral (
    select max(q.ts) as as_of from market.latest_quotes q where q.session_id = s.session_id) m
cross join lateral risk.var_at(s.session_id, coalesce(m.as_of, s.opened_at)) v
left join signal.strategies t using (strategy_id)
where s.status = 'open';
comment on view risk.var_current is
    'Value at risk and expected shortfall of one day of what every open session holds, by account (strategy null), strategy and method, as of the latest mark; null with a reason where anything needed is missing.';
