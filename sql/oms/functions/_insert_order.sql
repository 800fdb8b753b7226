-- Inserts an order with the first event of its log.
create or replace function oms._insert_order(p_row oms.orders)
returns void
language plpgsql
as $$
declare
    v oms.orders := p_row;
begin
    v.event_count := 1;
    v.cumulative_quantity := 0;
    v.traded_value := 0;
    v.chain_hash := '';
    v.chain_hash := oms._log_event(v, null, 'submitted', v.as_of, null, null, '{}');
    insert into oms.orders (order_id, session_id, request_id, request_leg, account, strategy_id,
        origin, signal_id, signal_as_of, signal_leg, pair_id, parent_order_id, plan_id, operator,
        instrument_id, venue_id, side, quantity, order_type, limit_price, stop_price, time_in_force,
        expire_at, peg_reference, peg_offset, post_only, display_quantity, min_quantity, reduce_only,
        trader, client_ref, is_parent, trigger_order_id, oco_group_id, succeeds_order_id, is_contingent, ceiling_quantity,
        tags, status, reasons, cl_ord_id, event_count, chain_hash, as_of, decision_id, decided_at)
    overriding system value
    values (v.order_id, v.session_id, v.request_id, v.request_leg, v.account, v.strategy_id,
        v.origin, v.signal_id, v.signal_as_of, v.signal_leg, v.pair_id, v.parent_order_id, v.plan_id, v.operator,
        v.instrument_id, v.venue_id, v.side, v.quantity, v.order_type, v.limit_price, v.stop_price, v.time_in_force,
        v.expire_at, v.peg_reference, v.peg_offset, v.post_only, v.display_quantity, v.min_quantity, v.reduce_only,
        v.trader, v.client_ref, v.is_parent, v.trigger_order_id, v.oco_group_id, v.succeeds_order_id, v.is_contingent, v.ceiling_quantity,
        v.tags, v.status, v.reasons, v.cl_ord_id, v.event_count, v.chain_hash, v.as_of, v.decision_id, v.decided_at);
end
$$;
comment on function oms._insert_order(oms.orders) is 'Inserts an order with the first event of its log.';
