-- Changes an order and appends the event that says so: the only writer of both. A null argument
-- keeps the order's value. Leaves are 0 once the order is terminal.
create or replace function oms._add_event(
    p_order_id bigint,
    p_kind text,
    p_status text,
    p_as_of timestamptz,
    p_fill_quantity numeric default 0,
    p_fill_price numeric default 0,
    p_execution_id bigint default null,
    p_message_id bigint default null,
    p_detail jsonb default '{}',
    p_venue_order_id text default null
) returns void
-- plpgsql, because a function in language sql is planned again at every call.
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    v_from text;
    v_after oms.orders;
begin
    select status into strict v_from from oms.orders where order_id = p_order_id;
    update oms.orders
    set status = coalesce(p_status, status),
        cumulative_quantity = cumulative_quantity + p_fill_quantity,
        traded_value = traded_value + p_fill_quantity * p_fill_price,
        leaves_quantity = case
            when coalesce(p_status, status) in ('filled', 'cancelled', 'rejected', 'expired', 'denied') then 0
            else greatest(quantity - cumulative_quantity - p_fill_quantity, 0) end,
        venue_order_id = coalesce(p_venue_order_id, venue_order_id),
        event_count = event_count + 1,
        updated_at = clock_timestamp()
    where order_id = p_order_id
    returning * into v_after;
    insert into oms.order_events (order_id, event_no, kind, from_status, to_status, as_of,
        cumulative_quantity, leaves_quantity, average_price, execution_id, message_id, detail)
    values (p_order_id, v_after.event_count, p_kind, v_from, v_after.status, coalesce(p_as_of, v_after.as_of),
        v_after.cumulative_quantity, v_after.leaves_quantity, v_after.average_price, p_execution_id,
        p_message_id, p_detail);
end
$$;
comment on function oms._add_event(bigint, text, text, timestamptz, numeric, numeric, bigint, bigint, jsonb, text) is
    'Applies one event to an order and appends it to the history.';
