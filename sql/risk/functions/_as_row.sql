-- A checked order as a row of oms.orders, without what the order path adds.
create or replace function risk._as_row(p_order risk.order_request)
returns oms.orders
language plpgsql
immutable
as $$
declare
    v oms.orders;
begin
    -- One statement: as many assignments would each be prepared anew in every transaction.
    select p_order.session_id, p_order.account, p_order.strategy_id, p_order.origin, p_order.signal_id,
        p_order.signal_as_of, p_order.signal_leg, p_order.pair_id, p_order.parent_order_id, p_order.plan_id,
        p_order.operator, p_order.instrument_id, p_order.venue_id, p_order.side, p_order.quantity,
        p_order.order_type, p_order.limit_price, p_order.stop_price, p_order.time_in_force, p_order.expire_at,
        p_order.peg_reference, p_order.peg_offset, p_order.post_only, p_order.display_quantity,
        p_order.min_quantity, p_order.reduce_only, p_order.trader, p_order.client_ref, p_order.is_parent,
        p_order.tags
    into v.session_id, v.account, v.strategy_id, v.origin, v.signal_id, v.signal_as_of, v.signal_leg,
        v.pair_id, v.parent_order_id, v.plan_id, v.operator, v.instrument_id, v.venue_id, v.side, v.quantity,
        v.order_type, v.limit_price, v.stop_price, v.time_in_force, v.expire_at, v.peg_reference,
        v.peg_offset, v.post_only, v.display_quantity, v.min_quantity, v.reduce_only, v.trader, v.client_ref,
        v.is_parent, v.tags;
    return v;
end
$$;
comment on function risk._as_row(risk.order_request) is 'A checked order as a row of oms.orders.';
