-- risk.var_components_at of every open session that holds something, as of its latest mark.
create or replace view risk.var_components_current as
select s.session_id, s.name as session, v.account, v.strategy_id, t.strategy, v.instrument_id, v.symbol,
    v.position_value, v.confidence, v.var, v.marginal, v.component, v.incremental, v.as_of, v.watermark, v.reason
from ops.sessions s
cross join lateral (
    select max(q.ts) as as_of from market.latest_quotes q where q.session_id = s.session_id) m
cross join lateral risk.var_components_at(s.session_id, coalesce(m.as_of, s.opened_at)) v
left join signal.strategies t using (strategy_id)
where s.status = 'open';
comment on view risk.var_components_current is
    'Marginal, component and incremental parts of the parametric value at risk, per instrument, by account (strategy null) and strategy; components add up to var.';
