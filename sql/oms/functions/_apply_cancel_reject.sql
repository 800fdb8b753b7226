-- Applies an OrderCancelReject to an order the caller has locked: the cancel is void, and the order
-- is what it was. False when there is nothing to apply it to.
create or replace function oms._apply_cancel_reject(
    p_order oms.orders,
    p_report jsonb,
    p_message oms.fix_messages
) returns boolean
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    v_status text;
begin
    update oms.order_actions set status = 'void'
    where cl_ord_id = p_report->>'cl_ord_id' and kind = 'cancel' and status <> 'void';
    if not found or p_order.order_id is null then
        return false;
    end if;
    if p_order.status = 'pending_cancel' then
        v_status := case when p_order.cumulative_quantity > 0 then 'partially_filled' else 'new' end;
    end if;
    perform oms._add_event(p_order.order_id, 'cancel_rejected', v_status,
        coalesce((p_report->>'transact_time')::timestamptz, p_order.as_of), 0, 0, null, p_message.message_id,
        jsonb_strip_nulls(jsonb_build_object('text', p_report->>'text', 'cxl_rej_reason', p_report->>'cxl_rej_reason')));
    return true;
end
$$;
comment on function oms._apply_cancel_reject(oms.orders, jsonb, oms.fix_messages) is
    'Applies a cancel reject to a locked order.';
