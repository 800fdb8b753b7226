-- Every execution of the simulated venues, sent or not.
create or replace view venue.executions as
select
    r.venue,
    r.exec_id,
    r.order_no,
    o.participant,
    o.cl_ord_id,
    o.session_id,
    o.symbol,
    o.side,
    r.quantity,
    r.price,
    r.ts,
    r.sent,
    r.recorded_at
from venue._reports r
join venue._orders o on o.venue = r.venue and o.order_no = r.order_no
where r.exec_type = 'F';
comment on view venue.executions is
    'Executions of the simulated venues; ts is the session time of the trade. For comparison with oms.executions.';
grant select on venue.executions to tsdb_readonly, tsdb_quant, tsdb_operator, tsdb_venue;
