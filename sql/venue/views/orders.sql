-- Every order of the simulated venues, as the venue sees it.
create or replace view venue.orders as
select
    o.venue,
    o.order_no,
    o.participant,
    o.cl_ord_id,
    o.session_id,
    o.symbol,
    o.side,
    o.order_type,
    o.limit_price,
    o.time_in_force,
    o.quantity,
    o.cumulative_quantity,
    case when o.status in ('filled', 'cancelled', 'rejected', 'expired') then 0
        else o.quantity - o.cumulative_quantity end as leaves_quantity,
    o.notional / nullif(o.cumulative_quantity, 0) as average_price,
    coalesce('pending_' || o.pending, o.status) as status,
    o.reason,
    o.as_of,
    o.recorded_at,
    o.updated_at,
    o.root_cl_ord_id,
    o.stop_price,
    o.expire_at,
    o.peg_reference,
    o.peg_offset,
    o.post_only,
    o.display_quantity,
    o.min_quantity
from venue._orders o;
comment on view venue.orders is
    'Orders as the simulated venues see them; cumulative_quantity equals the sum in venue.executions.';
grant select on venue.orders to tsdb_reader, tsdb_venue;
