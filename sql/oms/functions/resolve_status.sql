-- Applies the venue's answer to an OrderStatusRequest. An order in doubt takes the venue's status, or,
-- if the venue does not know it (ord_rej_reason 5, unknown_order), goes again with PossResend, or
-- is done with when its cancel was asked for already. A known order that the venue sees differently becomes a break. Arguments, result and errors as in
-- oms.record_report; an answer about an order we do not know is archived and left.
create or replace function oms.resolve_status(p_venue text, p_message jsonb, p_report jsonb)
returns table (order_id bigint, status text, applied boolean)
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    v_message oms.fix_messages;
    v_order oms.orders;
    v_not_known constant boolean := p_report->>'ord_status' = 'rejected'
        and p_report->>'ord_rej_reason' in ('5', 'unknown_order');
    v_theirs text := p_report->>'ord_status';
    v_cancel_pending boolean;
begin
    perform oms._require_read_committed();
    v_message := oms._archive(p_message || '{"direction": "in"}');
    select o.* into v_order
    from oms.order_actions a join oms.orders o using (order_id)
    where a.cl_ord_id in (p_report->>'cl_ord_id', p_report->>'orig_cl_ord_id')
    limit 1;
    if not found then
        return query select null::bigint, null::text, false;
        return;
    end if;
    perform oms._lock_account(v_order.session_id, v_order.account);
    select * into v_order from oms.orders o where o.order_id = v_order.order_id for update;
    perform oms._compare_quantity(v_order, v_order.cumulative_quantity, v_order.venue_id, p_report);

    if v_not_known and exists (
        select from oms.order_actions a
        where a.order_id = v_order.order_id and a.kind = 'new' and a.status = 'pending' and a.possible_resend)
        and v_order.status in ('pending_new', 'pending_cancel') then
        -- The same answer again: its first application committed, and the caller did not hear of it.
        null;
    elsif v_not_known and v_order.status = 'unknown' and v_order.cumulative_quantity = 0
        and v_order.venue_order_id is null and exists (
            select from oms.order_actions a
            where a.order_id = v_order.order_id and a.kind = 'cancel' and a.status <> 'void') then
        -- Sent again it might trade before its cancel arrives.
        update oms.order_actions a set status = 'void' where a.order_id = v_order.order_id;
        perform oms._add_event(v_order.order_id, 'status', 'cancelled', null, p_message_id => v_message.message_id,
            p_detail => '{"venue": "does not know it"}');
    elsif v_not_known and v_order.status = 'unknown' and v_order.cumulative_quantity = 0
        and v_order.venue_order_id is null then
        update oms.order_actions a set status = 'pending', possible_resend = true
        where a.order_id = v_order.order_id and a.kind = 'new' and a.status <> 'void';
        perform oms._add_event(v_order.order_id, 'status', 'pending_new', null, p_message_id => v_message.message_id,
            p_detail => '{"venue": "does not know it"}');
        perform pg_notify('oms_order_actions', '');
    elsif v_order.status = 'unknown' and v_theirs in ('pending_new', 'new', 'partially_filled', 'pending_cancel')
        or v_order.status = 'unknown' and not v_not_known and v_theirs in ('filled', 'cancelled', 'rejected', 'expired', 'done_for_day')
            and coalesce((p_report->>'cum_qty')::numeric, 0) = v_order.cumulative_quantity then
        -- A cancel of ours that the venue has not carried out goes again: a second one does no harm.
        update oms.order_actions a set status = 'pending', possible_resend = true
        where a.order_id = v_order.order_id and a.kind = 'cancel' and a.status <> 'void'
            and v_theirs in ('pending_new', 'new', 'partially_filled', 'done_for_day');
        v_cancel_pending := found;
        update oms.order_actions a set status = 'sent', sent_at = coalesce(a.sent_at, v_message.recorded_at)
        where a.order_id = v_order.order_id and a.kind = 'new' and a.status = 'pending';
        perform oms._add_event(v_order.order_id, 'status',
            case
                when v_cancel_pending or v_theirs = 'pending_cancel' then 'pending_cancel'
                when v_theirs in ('pending_new', 'new') then
                    case when v_order.cumulative_quantity > 0 then 'partially_filled' else 'new' end
                else v_theirs end,
            null, p_message_id => v_message.message_id, p_venue_order_id => p_report->>'order_id');
        perform pg_notify('oms_order_actions', '');
    elsif v_not_known and v_order.status not in ('filled', 'cancelled', 'rejected', 'expired')
        or v_theirs is distinct from v_order.status and not v_not_known
            and v_order.status <> 'pending_cancel' then
        -- Still in doubt, or two opinions: an operator decides, nothing is patched.
        perform oms._note_break('status', v_order.session_id, v_order.order_id, v_order.venue_id,
            jsonb_build_object('status', v_order.status), p_report);
    end if;
    return query select o.order_id, o.status, o.status <> v_order.status
        from oms.orders o where o.order_id = v_order.order_id;
end
$$;
comment on function oms.resolve_status(text, jsonb, jsonb) is
    'Applies the answer to an order status request: settles an order in doubt, or records a break.';
grant execute on function oms.resolve_status(text, jsonb, jsonb) to tsdb_worker;
