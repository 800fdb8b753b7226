-- Queues a message to the venue of an order, with a ClOrdID that is fixed here for good, and wakes the gateway.
create or replace function oms._add_action(p_order_id bigint, p_kind text, p_request_id uuid)
returns text
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    v_action_id constant bigint := nextval('oms.order_actions_action_id_seq');
    v_cl_ord_id constant text := (select prefix from ops.installation) || '-' || v_action_id;
begin
    insert into oms.order_actions (action_id, order_id, venue_id, kind, cl_ord_id, orig_cl_ord_id, request_id)
    overriding system value
    select v_action_id, order_id, venue_id, p_kind, v_cl_ord_id,
        case when p_kind <> 'new' then cl_ord_id end, p_request_id
    from oms.orders where order_id = p_order_id;
    if p_kind = 'new' then
        update oms.orders set cl_ord_id = v_cl_ord_id where order_id = p_order_id;
    end if;
    -- Equal notifications of a transaction are sent once.
    perform pg_notify('oms_order_actions', '');
    return v_cl_ord_id;
end
$$;
comment on function oms._add_action(bigint, text, uuid) is 'Appends to the outbox; returns the ClOrdID.';
