-- The ClOrdID that the next replace or cancel of an order refers to: of its last replace that the venue
-- has not refused, else the one under which the venue has the order.
create or replace function oms._last_cl_ord_id(p_order oms.orders)
returns text
language plpgsql
stable
as $$
begin
    return coalesce((
        select a.cl_ord_id from oms.order_actions a
        where a.order_id = p_order.order_id and a.kind = 'replace' and a.status in ('pending', 'sent')
        order by a.action_id desc limit 1), p_order.cl_ord_id);
end
$$;
comment on function oms._last_cl_ord_id(oms.orders) is 'OrigClOrdID of the next replace or cancel.';
