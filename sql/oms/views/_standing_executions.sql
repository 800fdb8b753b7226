-- What stands of each fill by now: its last terms, nothing after a bust.
create or replace view oms._standing_executions as
select f.execution_id, f.exec_id, f.trade_date, f.venue_id, f.order_id, f.session_id, f.instrument_id,
    coalesce(l.side, f.side) as side, greatest(coalesce(l.quantity, f.quantity), 0) as quantity,
    coalesce(l.price, f.price) as price, coalesce(l.recorded_at, f.recorded_at) as recorded_at
from oms.executions f
-- Few fills are ever reversed.
left join (
    select distinct on (e.root_execution_id) e.root_execution_id, e.side, e.quantity, e.price, e.recorded_at
    from oms.executions e
    where e.root_execution_id is not null
    order by e.root_execution_id, e.execution_id desc) l on l.root_execution_id = f.execution_id
where f.root_execution_id is null;
comment on view oms._standing_executions is 'Each fill with its last terms; quantity 0 after a bust.';
