-- What stands of each fill by now: its last terms, nothing after a bust.
create or replace view oms._standing_executions as
select distinct on (coalesce(e.root_execution_id, e.execution_id))
    coalesce(e.root_execution_id, e.execution_id) as execution_id, r.exec_id, r.trade_date, e.venue_id, e.order_id,
    e.session_id, e.instrument_id, e.side, greatest(e.quantity, 0) as quantity, e.price,
    e.recorded_at
from oms.executions e
join oms.executions r on r.execution_id = coalesce(e.root_execution_id, e.execution_id)
order by coalesce(e.root_execution_id, e.execution_id), e.execution_id desc;
comment on view oms._standing_executions is 'Each fill with its last terms; quantity 0 after a bust.';
