-- Appends an event of an order to the log and returns its hash, which becomes the order's chain_hash.
-- p_order: the order as it is after the event, with event_count counting it and the hash before it.
create or replace function oms._log_event(
    p_order oms.orders,
    p_from_status text,
    p_kind text,
    p_as_of timestamptz,
    p_execution_id bigint,
    p_message_id bigint,
    p_detail jsonb
) returns bytea
-- plpgsql, because a function in language sql is planned again at every call.
language plpgsql
as $$
declare
    v_event oms.order_events;
begin
    v_event.recorded_at := clock_timestamp();
    v_event.order_id := p_order.order_id;
    v_event.event_no := p_order.event_count;
    v_event.kind := p_kind;
    v_event.from_status := p_from_status;
    v_event.to_status := p_order.status;
    v_event.as_of := coalesce(p_as_of, p_order.as_of);
    v_event.order_quantity := p_order.quantity;
    v_event.cumulative_quantity := p_order.cumulative_quantity;
    v_event.leaves_quantity := oms._leaves(p_order.status, p_order.quantity, p_order.cumulative_quantity);
    v_event.average_price := p_order.traded_value / nullif(p_order.cumulative_quantity, 0);
    v_event.execution_id := p_execution_id;
    v_event.message_id := p_message_id;
    v_event.detail := p_detail;
    v_event.hash := oms._event_hash(p_order.chain_hash, v_event);
    insert into oms.order_events (recorded_at, order_id, event_no, kind, from_status, to_status, as_of,
        order_quantity, cumulative_quantity, leaves_quantity, average_price, execution_id, message_id,
        detail, prev_hash, hash)
    values (v_event.recorded_at, v_event.order_id, v_event.event_no, v_event.kind, v_event.from_status,
        v_event.to_status, v_event.as_of, v_event.order_quantity, v_event.cumulative_quantity,
        v_event.leaves_quantity, v_event.average_price, v_event.execution_id, v_event.message_id,
        v_event.detail, p_order.chain_hash, v_event.hash);
    return v_event.hash;
end
$$;
comment on function oms._log_event(oms.orders, text, text, timestamptz, bigint, bigint, jsonb) is
    'Appends an event to the log; returns its hash.';
