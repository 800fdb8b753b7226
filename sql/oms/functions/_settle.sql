-- Ends a locked order by a person's word: nothing more is asked of its venue.
create or replace function oms._settle(p_order oms.orders, p_status text, p_reason text)
returns void
language plpgsql
as $$
begin
    if not p_order.is_live or p_order.is_parent then
        raise exception 'order % is %: only a working order at a venue can be settled', p_order.order_id,
            case when p_order.is_parent then 'a parent' else p_order.status end using errcode = 'TT004';
    end if;
    update oms.order_actions a set status = 'void'
    where a.order_id = p_order.order_id and a.status = 'pending'
        or a.order_id = p_order.order_id and a.kind <> 'new' and a.status = 'sent';
    update oms.orders o set pending_quantity = null where o.order_id = p_order.order_id;
    perform oms._add_event(p_order.order_id, 'settled', p_status, null,
        p_detail => jsonb_build_object('by', session_user, 'reason', p_reason));
end
$$;
comment on function oms._settle(oms.orders, text, text) is 'Ends an order by a person''s word.';
