-- Applies an OrderCancelReject, of a cancel or a replace, to an order the caller has locked: what was
-- asked for is void, and the order is what it was. A cancel that named a replace which turned out
-- refused goes again under the accepted ClOrdID. False when there is nothing to apply it to.
create or replace function oms._apply_cancel_reject(
    p_order oms.orders,
    p_report jsonb,
    p_message oms.fix_messages
) returns boolean
language plpgsql
as $$
declare
    v_action oms.order_actions;
    v_as_of constant timestamptz := coalesce((p_report->>'transact_time')::timestamptz, p_order.as_of);
    v_unknown constant boolean := coalesce(p_report->>'cxl_rej_reason' in ('1', 'unknown_order'), false);
    v_orphaned boolean;
begin
    update oms.order_actions a set status = 'void'
    where a.cl_ord_id = p_report->>'cl_ord_id' and a.kind <> 'new' and a.status in ('pending', 'sent')
    returning a.* into v_action;
    if not found or p_order.order_id is null then
        return false;
    end if;
    v_orphaned := exists (
        select from oms.order_actions a
        where a.cl_ord_id = v_action.orig_cl_ord_id and a.kind = 'replace' and a.status = 'void');
    if v_action.kind = 'replace' then
        update oms.orders o set pending_quantity = oms._pending_quantity(o.order_id)
        where o.order_id = p_order.order_id;
    elsif p_order.is_live and v_orphaned then
        perform oms._add_cancel(p_order, v_action.request_id, v_as_of);
    end if;
    perform oms._add_event(p_order.order_id, v_action.kind || '_rejected',
        case when p_order.status in ('pending_cancel', 'pending_replace')
            then oms._idle_status(p_order.order_id, p_report->>'ord_status', p_order.cumulative_quantity) end,
        v_as_of, p_message_id => p_message.message_id,
        p_detail => jsonb_strip_nulls(jsonb_build_object('text', p_report->>'text',
            'cxl_rej_reason', p_report->>'cxl_rej_reason')));
    if p_order.is_live and v_unknown and not v_orphaned then
        perform oms._note_break('status', p_order, p_order.venue_id,
            jsonb_build_object('status', p_order.status), p_report);
    end if;
    return true;
end
$$;
comment on function oms._apply_cancel_reject(oms.orders, jsonb, oms.fix_messages) is
    'Applies the refusal of a cancel or replace to a locked order.';
