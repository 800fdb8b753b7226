-- Changes an order and appends the event that says so, then lets the orders that depend on it follow:
-- its parent, and those it triggers or shares a group with. p_status null keeps the status.
-- p_quantity_change, p_value_change: what the event adds to the filled quantity and its value,
-- negative for a bust.
create or replace function oms._add_event(
    p_order_id bigint,
    p_kind text,
    p_status text,
    p_as_of timestamptz,
    p_quantity_change numeric default 0,
    p_value_change numeric default 0,
    p_execution_id bigint default null,
    p_message_id bigint default null,
    p_detail jsonb default '{}',
    p_venue_order_id text default null
) returns void
-- plpgsql, because a function in language sql is planned again at every call.
language plpgsql
as $$
declare
    v_from text;
    v_order oms.orders;
begin
    select * into strict v_order from oms.orders where order_id = p_order_id;
    v_from := v_order.status;
    v_order.status := coalesce(p_status, v_from);
    v_order.cumulative_quantity := v_order.cumulative_quantity + p_quantity_change;
    v_order.traded_value := v_order.traded_value + p_value_change;
    v_order.event_count := v_order.event_count + 1;
    v_order.chain_hash := oms._log_event(v_order, v_from, p_kind, p_as_of, p_execution_id, p_message_id, p_detail);
    update oms.orders
    set status = v_order.status,
        cumulative_quantity = v_order.cumulative_quantity,
        traded_value = v_order.traded_value,
        event_count = v_order.event_count,
        chain_hash = v_order.chain_hash,
        venue_order_id = coalesce(p_venue_order_id, venue_order_id),
        updated_at = clock_timestamp()
    where order_id = p_order_id;
    if v_order.parent_order_id is not null then
        perform oms._follow_child(v_order, p_as_of, p_quantity_change, p_value_change);
    end if;
    if v_order.is_contingent then
        perform oms._work_contingents(p_order_id, p_as_of);
    end if;
end
$$;
comment on function oms._add_event(bigint, text, text, timestamptz, numeric, numeric, bigint, bigint, jsonb, text) is
    'Applies one event to an order, appends it to the log, and lets dependent orders follow.';
