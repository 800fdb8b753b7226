-- Whether an order may work for its parent: a problem in words, or null, and what the parent has left
-- beside the children that work for it already.
create or replace function risk._parent_room(
    p_order risk.order_request,
    p_current oms.orders,
    out problem text,
    out remaining numeric
)
language plpgsql
stable
as $$
declare
    v_parent oms.orders;
begin
    select * into v_parent from oms.orders o where o.order_id = p_order.parent_order_id;
    select v_parent.leaves_quantity - coalesce(sum(oms._exposed(c)), 0) into remaining
    from oms.orders c
    where c.parent_order_id = v_parent.order_id and c.is_live and c.order_id is distinct from p_current.order_id;
    problem := case
        when not v_parent.is_parent then 'order ' || v_parent.order_id || ' is no parent order'
        when v_parent.status not in ('new', 'partially_filled') then 'the parent is ' || v_parent.status
        when (v_parent.session_id, v_parent.account, v_parent.instrument_id, v_parent.side)
            is distinct from (p_order.session_id, p_order.account, p_order.instrument_id, p_order.side)
            then 'the parent is of another session, account, instrument or side'
        when p_order.quantity - coalesce(p_current.cumulative_quantity, 0) > remaining
            then 'the parent has ' || trim_scale(remaining) || ' left'
    end;
end
$$;
comment on function risk._parent_room(risk.order_request, oms.orders) is 'Whether an order may work for its parent.';
