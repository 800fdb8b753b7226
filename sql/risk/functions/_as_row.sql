-- A checked order as a row of oms.orders, without what the order path adds.
create or replace function risk._as_row(p_order risk.order_request)
returns oms.orders
language plpgsql
immutable
as $$
declare
    v oms.orders;
begin
    v.session_id := p_order.session_id;
    v.account := p_order.account;
    v.strategy_id := p_order.strategy_id;
    v.origin := p_order.origin;
    v.signal_id := p_order.signal_id;
    v.signal_as_of := p_order.signal_as_of;
    v.signal_leg := p_order.signal_leg;
    v.pair_id := p_order.pair_id;
    v.parent_order_id := p_order.parent_order_id;
    v.plan_id := p_order.plan_id;
    v.operator := p_order.operator;
    v.instrument_id := p_order.instrument_id;
    v.venue_id := p_order.venue_id;
    v.side := p_order.side;
    v.quantity := p_order.quantity;
    v.order_type := p_order.order_type;
    v.limit_price := p_order.limit_price;
    v.stop_price := p_order.stop_price;
    v.time_in_force := p_order.time_in_force;
    v.expire_at := p_order.expire_at;
    v.peg_reference := p_order.peg_reference;
    v.peg_offset := p_order.peg_offset;
    v.post_only := p_order.post_only;
    v.display_quantity := p_order.display_quantity;
    v.min_quantity := p_order.min_quantity;
    v.reduce_only := p_order.reduce_only;
    v.trader := p_order.trader;
    v.client_ref := p_order.client_ref;
    v.is_parent := p_order.is_parent;
    v.tags := p_order.tags;
    return v;
end
$$;
comment on function risk._as_row(risk.order_request) is 'A checked order as a row of oms.orders.';
