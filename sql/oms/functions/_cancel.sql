-- Cancels a locked order, or says why nothing is asked of its venue. One that was never sent is over
-- at once, a parent with the last of its children.
create or replace function oms._cancel(p_order oms.orders, p_request_id uuid, p_as_of timestamptz)
returns text[]
language plpgsql
as $$
declare
    v_child oms.orders;
begin
    if p_order.status = 'held' then
        perform oms._add_event(p_order.order_id, 'cancel_requested', 'cancelled', p_as_of);
    elsif not p_order.is_live then
        return array['the order is ' || p_order.status || ' already'];
    elsif p_order.is_parent then
        if p_order.status <> 'pending_cancel' then
            perform oms._add_event(p_order.order_id, 'cancel_requested', 'pending_cancel', p_as_of);
        end if;
        for v_child in
            select o.* from oms.orders o
            where o.parent_order_id = p_order.order_id and (o.is_live or o.status = 'held')
            order by o.order_id for update
        loop
            perform oms._cancel(v_child, p_request_id, p_as_of);
        end loop;
        if not exists (select from oms.orders c where c.parent_order_id = p_order.order_id and c.is_live) then
            perform oms._add_event(p_order.order_id, 'cancelled', 'cancelled', p_as_of);
        end if;
    elsif exists (
        select from oms.order_actions a
        where a.order_id = p_order.order_id and a.kind = 'cancel' and a.status in ('pending', 'sent')) then
        return array['a cancel is under way already'];
    else
        perform oms._add_cancel(p_order, p_request_id, p_as_of);
        -- In doubt, it goes out when the venue has said what it knows of the order.
        perform oms._add_event(p_order.order_id, 'cancel_requested',
            case when p_order.status <> 'unknown' then 'pending_cancel' end, p_as_of);
    end if;
    return '{}';
end
$$;
comment on function oms._cancel(oms.orders, uuid, timestamptz) is 'Cancels a locked order.';
