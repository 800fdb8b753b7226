-- Settles a locked order in doubt with what its venue says of it. What we had asked for and the venue
-- has not carried out goes again: a second cancel or replace under the same ClOrdID does no harm. An end that comes
-- with fills we do not hold leaves the order in doubt, with a break, until they arrive.
create or replace function oms._settle_known(p_order oms.orders, p_report jsonb, p_message oms.fix_messages)
returns void
language plpgsql
as $$
declare
    v_theirs constant text := p_report->>'ord_status';
    v_order oms.orders := p_order;
    v_status text;
begin
    if v_theirs in ('filled', 'cancelled', 'rejected', 'expired') then
        if coalesce((p_report->>'cum_qty')::numeric, 0) <> p_order.cumulative_quantity then
            return;
        end if;
        if v_theirs = 'filled' and p_order.cumulative_quantity < p_order.quantity then
            perform oms._note_break('status', p_order, p_order.venue_id, jsonb_build_object(
                'status', p_order.status, 'quantity', p_order.quantity::text), p_report, p_source => 'status');
            return;
        end if;
        update oms.order_actions a set status = 'void'
        where a.order_id = p_order.order_id and a.kind = 'replace' and a.status in ('pending', 'sent');
        update oms.orders o set pending_quantity = null where o.order_id = p_order.order_id;
        v_status := v_theirs;
    elsif v_theirs in ('pending_new', 'new', 'partially_filled', 'pending_cancel', 'pending_replace', 'stopped',
        'suspended', 'done_for_day') then
        -- The id it answers under tells which of our replaces it has carried out.
        if exists (
            select from oms.order_actions a
            where a.order_id = p_order.order_id and a.kind = 'replace' and a.status in ('pending', 'sent')
                and a.cl_ord_id = p_report->>'cl_ord_id') then
            perform oms._apply_terms(p_order, p_report || '{"exec_type": "replaced"}');
        end if;
        update oms.order_actions a set status = 'pending', possible_resend = true
        where a.order_id = p_order.order_id and a.kind <> 'new' and a.status = 'sent'
            and v_theirs not in ('pending_cancel', 'pending_replace');
        update oms.order_actions a set status = 'sent', sent_at = coalesce(a.sent_at, p_message.recorded_at)
        where a.order_id = p_order.order_id and a.kind = 'new' and a.status = 'pending';
        select o.* into v_order from oms.orders o where o.order_id = p_order.order_id;
        v_status := oms._idle_status(p_order.order_id, v_theirs, v_order.cumulative_quantity);
    else
        perform oms._note_break('status', p_order, p_order.venue_id,
            jsonb_build_object('status', p_order.status), p_report, p_source => 'status');
        return;
    end if;
    perform oms._add_event(p_order.order_id, 'status', v_status, null, p_message_id => p_message.message_id,
        p_venue_order_id => p_report->>'order_id');
    perform pg_notify('oms_order_actions', '');
end
$$;
comment on function oms._settle_known(oms.orders, jsonb, oms.fix_messages) is
    'Settles an order in doubt with what its venue says of it.';
