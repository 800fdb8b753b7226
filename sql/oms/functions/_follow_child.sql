-- Lets a parent order follow an event of one of its children: their fills are its own, and a parent
-- whose cancel was asked for is over with its last live child.
create or replace function oms._follow_child(
    p_child oms.orders,
    p_as_of timestamptz,
    p_quantity_change numeric,
    p_value_change numeric
) returns void
language plpgsql
as $$
declare
    v_parent oms.orders;
    v_cumulative numeric;
    v_status text;
begin
    select * into strict v_parent from oms.orders where order_id = p_child.parent_order_id;
    if not v_parent.is_parent then
        return;
    end if;
    v_cumulative := v_parent.cumulative_quantity + p_quantity_change;
    v_status := case
        when v_cumulative >= v_parent.quantity then 'filled'
        when v_parent.status = 'pending_cancel' and not exists (
            select from oms.orders c where c.parent_order_id = v_parent.order_id and c.is_live) then 'cancelled'
        when v_parent.status in ('cancelled', 'pending_cancel') or p_quantity_change = 0 then v_parent.status
        when v_cumulative = 0 then 'new'
        else 'partially_filled' end;
    if v_status <> v_parent.status or p_quantity_change <> 0 then
        perform oms._add_event(v_parent.order_id, 'child', v_status, p_as_of, p_quantity_change, p_value_change,
            p_detail => jsonb_build_object('child_order_id', p_child.order_id));
    end if;
end
$$;
comment on function oms._follow_child(oms.orders, timestamptz, numeric, numeric) is
    'Applies an event of a child to its parent order.';
