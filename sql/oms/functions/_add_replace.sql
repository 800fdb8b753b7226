-- Queues the replace of an order: p_terms is the order as it is to be. The caller has checked it.
create or replace function oms._add_replace(p_order oms.orders, p_terms oms.orders, p_request_id uuid, p_as_of timestamptz)
returns void
language plpgsql
as $$
declare
    v_action_id constant bigint := nextval('oms.order_actions_action_id_seq');
begin
    insert into oms.order_actions (action_id, order_id, venue_id, kind, cl_ord_id, orig_cl_ord_id, request_id,
        quantity, limit_price, stop_price, peg_offset, display_quantity, expire_at, session_id, account, strategy_id,
        as_of)
    overriding system value
    values (v_action_id, p_order.order_id, p_order.venue_id, 'replace', oms._cl_ord_id(v_action_id),
        oms._last_cl_ord_id(p_order), p_request_id, p_terms.quantity, p_terms.limit_price, p_terms.stop_price,
        p_terms.peg_offset, p_terms.display_quantity, p_terms.expire_at, p_order.session_id, p_order.account,
        p_order.strategy_id, coalesce(p_as_of, p_order.as_of));
    update oms.orders o set pending_quantity = greatest(o.pending_quantity, p_terms.quantity)
    where o.order_id = p_order.order_id;
    perform oms._add_event(p_order.order_id, 'replace_requested', 'pending_replace', p_as_of,
        p_detail => jsonb_strip_nulls(jsonb_build_object('quantity', p_terms.quantity::text,
            'limit_price', p_terms.limit_price::text, 'stop_price', p_terms.stop_price::text,
            'cl_ord_id', oms._cl_ord_id(v_action_id))));
    perform pg_notify('oms_order_actions', '');
end
$$;
comment on function oms._add_replace(oms.orders, oms.orders, uuid, timestamptz) is 'Appends a replace to the outbox.';
