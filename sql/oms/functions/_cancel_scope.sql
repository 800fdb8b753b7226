-- Cancels the live and held orders of a scope, parents before their children; the caller holds the locks of
-- their accounts. Returns each with its status, and the reason where nothing was asked of its venue.
create or replace function oms._cancel_scope(p_scope jsonb, p_request_id uuid, p_as_of timestamptz)
returns table (order_id bigint, status text, reasons text[])
language plpgsql
as $$
#variable_conflict use_column
declare
    v_order oms.orders;
begin
    for v_order in
        select o.* from oms.orders o
        where o.order_id in (select s.order_id from oms._in_scope(p_scope) s)
        order by o.is_parent desc, o.order_id for update
    loop
        -- A parent's cancel has reached its children by now.
        select o.* into v_order from oms.orders o where o.order_id = v_order.order_id;
        order_id := v_order.order_id;
        reasons := oms._cancel(v_order, p_request_id, p_as_of);
        status := (select o.status from oms.orders o where o.order_id = v_order.order_id);
        return next;
    end loop;
end
$$;
comment on function oms._cancel_scope(jsonb, uuid, timestamptz) is 'Cancels the live and held orders of a scope.';
