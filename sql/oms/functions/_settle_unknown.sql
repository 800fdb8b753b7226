-- Settles a locked order that its venue does not know: one in doubt that never got there goes again with
-- PossResend, or is done with when its cancel was asked for already; anything else is a break.
create or replace function oms._settle_unknown(p_order oms.orders, p_report jsonb, p_message_id bigint)
returns void
language plpgsql
as $$
declare
    v_detail constant jsonb := '{"venue": "does not know it"}';
begin
    if p_order.awaits_venue and p_order.status <> 'unknown' and exists (
        select from oms.order_actions a
        where a.order_id = p_order.order_id and a.kind = 'new' and a.status = 'pending' and a.possible_resend) then
        -- The same answer again: its first application committed, and the caller did not hear of it.
        return;
    end if;
    if p_order.status <> 'unknown' or p_order.cumulative_quantity > 0 or p_order.venue_order_id is not null then
        if p_order.is_live then
            perform oms._note_break('status', p_order, p_order.venue_id,
                jsonb_build_object('status', p_order.status), p_report, p_source => 'status');
        end if;
        return;
    end if;
    -- A replace of an order that never arrived: its terms are simply those of the order that goes.
    update oms.orders o
    set quantity = a.quantity, limit_price = coalesce(a.limit_price, o.limit_price),
        stop_price = coalesce(a.stop_price, o.stop_price), peg_offset = coalesce(a.peg_offset, o.peg_offset),
        display_quantity = coalesce(a.display_quantity, o.display_quantity),
        expire_at = coalesce(a.expire_at, o.expire_at), pending_quantity = null
    from (
        select * from oms.order_actions r
        where r.order_id = p_order.order_id and r.kind = 'replace' and r.status in ('pending', 'sent')
        order by r.action_id desc limit 1) a
    where o.order_id = p_order.order_id;
    update oms.order_actions a set status = 'void'
    where a.order_id = p_order.order_id and a.kind = 'replace' and a.status in ('pending', 'sent');
    if exists (
        select from oms.order_actions a
        where a.order_id = p_order.order_id and a.kind = 'cancel' and a.status in ('pending', 'sent')) then
        -- Sent again it might trade before its cancel arrives.
        update oms.order_actions a set status = 'void' where a.order_id = p_order.order_id;
        perform oms._add_event(p_order.order_id, 'status', 'cancelled', null, p_message_id => p_message_id,
            p_detail => v_detail);
    else
        update oms.order_actions a set status = 'pending', possible_resend = true
        where a.order_id = p_order.order_id and a.kind = 'new' and a.status <> 'void';
        perform oms._add_event(p_order.order_id, 'status', 'pending_new', null, p_message_id => p_message_id,
            p_detail => v_detail);
        perform pg_notify('oms_order_actions', '');
    end if;
end
$$;
comment on function oms._settle_unknown(oms.orders, jsonb, bigint) is
    'Settles an order that its venue does not know.';
