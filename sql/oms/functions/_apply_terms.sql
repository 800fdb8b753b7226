-- Gives a locked order the terms of an accepted replace (35=8, ExecType replaced) or of a restatement
-- by the venue, and returns them for the event. The venue's own figures win over what we asked for;
-- where they differ, that is a break, unless the replace ended the order: a quantity below what is filled
-- means the filled quantity, and then the price is nobody's concern.
create or replace function oms._apply_terms(p_order oms.orders, p_report jsonb)
returns jsonb
language plpgsql
as $$
declare
    v_action oms.order_actions;
    v_quantity numeric := p_report->>'order_qty';
    v_limit numeric := p_report->>'price';
    v_stop numeric := p_report->>'stop_px';
    v_filled constant numeric := coalesce((p_report->>'cum_qty')::numeric, p_order.cumulative_quantity);
begin
    if not p_order.is_live then
        -- Over here, with other terms there: a person has to look.
        perform oms._note_break('terms', p_order, p_order.venue_id, jsonb_build_object('status', p_order.status,
            'quantity', p_order.quantity::text), p_report, coalesce(p_report->>'cl_ord_id', ''));
        return '{}';
    end if;
    if p_report->>'exec_type' = 'replaced' then
        update oms.order_actions a set status = 'accepted'
        where a.order_id = p_order.order_id and a.kind = 'replace' and a.cl_ord_id = p_report->>'cl_ord_id'
        returning a.* into v_action;
    end if;
    if coalesce(v_quantity <> v_filled or v_action.quantity > v_filled, true) and (v_action.quantity <> v_quantity
        or v_action.limit_price <> v_limit or v_action.stop_price <> v_stop) then
        perform oms._note_break('terms', p_order, p_order.venue_id, jsonb_strip_nulls(jsonb_build_object(
            'quantity', v_action.quantity::text, 'limit_price', v_action.limit_price::text,
            'stop_price', v_action.stop_price::text)), p_report, v_action.cl_ord_id);
    end if;
    update oms.orders o
    set quantity = greatest(coalesce(v_quantity, v_action.quantity, o.quantity), o.cumulative_quantity),
        limit_price = case when o.limit_price is not null or o.order_type = 'pegged'
            then coalesce(v_limit, v_action.limit_price, o.limit_price) end,
        stop_price = case when o.stop_price is not null
            then coalesce(v_stop, v_action.stop_price, o.stop_price) end,
        peg_offset = coalesce(v_action.peg_offset, o.peg_offset),
        display_quantity = coalesce(v_action.display_quantity, o.display_quantity),
        expire_at = coalesce(v_action.expire_at, o.expire_at),
        cl_ord_id = coalesce(v_action.cl_ord_id, o.cl_ord_id),
        pending_quantity = oms._pending_quantity(o.order_id)
    where o.order_id = p_order.order_id
    returning o.quantity, o.limit_price, o.stop_price into v_quantity, v_limit, v_stop;
    return jsonb_strip_nulls(jsonb_build_object('quantity', v_quantity::text, 'limit_price', v_limit::text,
        'stop_price', v_stop::text, 'cl_ord_id', v_action.cl_ord_id));
end
$$;
comment on function oms._apply_terms(oms.orders, jsonb) is 'Gives an order the terms the venue says it has.';
