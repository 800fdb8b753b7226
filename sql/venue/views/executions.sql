-- Every execution of the simulated venues, sent or not. A bust is an execution of its own that takes
-- the original back (negative quantity at its price and fee); a correction does so and books the new
-- terms, so every sum is a plain sum. kind: execution, bust, correction; reference_exec_id: what was
-- busted or corrected.
create or replace view venue.executions as
with booked as (
    select r.venue, r.report_no, r.order_no, r.exec_id, r.quantity, r.price, r.fee, r.ts, r.sent,
        r.recorded_at, null::bigint as reference_no,
        case r.exec_type when 'F' then 'execution' else 'correction' end as kind
    from venue._reports r
    where r.exec_type in ('F', 'G') and r.copy_of is null
    union all
    select r.venue, r.report_no, r.order_no, r.exec_id, -u.quantity, u.price, -u.fee, r.ts, r.sent,
        r.recorded_at, r.reference_no,
        case r.exec_type when 'H' then 'bust' else 'correction' end
    from venue._reports r
    join venue._reports u on u.venue = r.venue and u.report_no = r.reference_no
    where r.exec_type in ('G', 'H') and r.copy_of is null)
select
    b.venue,
    b.exec_id,
    b.order_no,
    o.participant,
    o.cl_ord_id,
    o.session_id,
    o.symbol,
    o.side,
    b.quantity,
    b.price,
    b.ts,
    b.sent,
    b.recorded_at,
    b.kind,
    b.fee,
    u.exec_id as reference_exec_id
from booked b
join venue._orders o on o.venue = b.venue and o.order_no = b.order_no
left join venue._reports u on u.venue = b.venue and u.report_no = b.reference_no;
comment on view venue.executions is
    'Executions, busts and corrections of the simulated venues; ts is the session time. For comparison with oms.executions.';
grant select on venue.executions to tsdb_reader, tsdb_venue;
