-- Queues the cancel of an order for its venue, with a ClOrdID that is fixed here for good, and wakes
-- the gateway. OrigClOrdID: the last action of the order that was not refused, sent or not.
create or replace function oms._add_cancel(p_order oms.orders, p_request_id uuid, p_as_of timestamptz)
returns void
language plpgsql
as $$
declare
    v_action_id constant bigint := nextval('oms.order_actions_action_id_seq');
begin
    insert into oms.order_actions (action_id, order_id, venue_id, kind, cl_ord_id, orig_cl_ord_id, request_id,
        session_id, account, strategy_id, as_of)
    overriding system value
    values (v_action_id, p_order.order_id, p_order.venue_id, 'cancel', oms._cl_ord_id(v_action_id),
        oms._last_cl_ord_id(p_order), p_request_id, p_order.session_id, p_order.account, p_order.strategy_id,
        coalesce(p_as_of, p_order.as_of));
    -- Equal notifications of a transaction are sent once.
    perform pg_notify('oms_order_actions', '');
end
$$;
comment on function oms._add_cancel(oms.orders, uuid, timestamptz) is 'Appends a cancel to the outbox.';
