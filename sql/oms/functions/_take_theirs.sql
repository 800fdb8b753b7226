-- Books or settles what the other side of a break says; returns what was done. Errors: TT001 the kind of
-- the break has nothing to take.
create or replace function oms._take_theirs(p_break oms.breaks, p_reason text)
returns jsonb
language plpgsql
as $$
declare
    v_venue constant text := (select v.venue from ref.venues v where v.venue_id = p_break.venue_id);
    v_busted constant boolean := coalesce((p_break.theirs->>'quantity')::numeric, 0) = 0;
    v_order oms.orders;
    v_status text;
    v_report jsonb;
begin
    select o.* into v_order from oms.orders o where o.order_id = p_break.order_id;
    if p_break.kind = 'status' then
        v_status := p_break.theirs->>'ord_status';
        if v_status not in ('cancelled', 'expired', 'rejected') then
            v_status := 'cancelled';
        end if;
        perform oms._settle(oms._lock_order(p_break.order_id), v_status, p_reason);
        return jsonb_build_object('status', v_status);
    end if;
    if p_break.kind = 'quantity' then
        v_order := oms._lock_order(p_break.order_id);
        if v_order.cumulative_quantity > v_order.quantity then
            -- The venue carried out a replace it never told of: what it filled is what the order is for.
            update oms.orders o set quantity = o.cumulative_quantity where o.order_id = v_order.order_id;
            v_report := jsonb_build_object('quantity', v_order.cumulative_quantity::text);
            perform oms._add_event(v_order.order_id, 'settled', null, null,
                p_detail => v_report || jsonb_build_object('by', session_user, 'reason', p_reason));
            return v_report;
        end if;
    end if;
    if p_break.kind not in ('missing_execution', 'execution_content', 'extra_execution')
        or p_break.source not in ('trade_capture', 'drop_copy', 'clearing') or p_break.ours ? 'source' then
        raise exception 'break % is of kind % from %: there is nothing to take, only keep_ours',
            p_break.break_id, p_break.kind, p_break.source using errcode = 'TT001';
    end if;
    v_report := jsonb_strip_nulls(jsonb_build_object(
        'msg_type', '8',
        'exec_type', case
            when p_break.kind = 'missing_execution' then 'trade'
            when v_busted then 'trade_cancel'
            else 'trade_correct' end,
        -- A missing execution keeps its own id, so that it cannot come a second time.
        'exec_id', case p_break.kind when 'missing_execution' then p_break.theirs->>'exec_id'
            else 'operator-' || p_break.break_id end,
        'exec_ref_id', case when p_break.kind <> 'missing_execution' then p_break.ours->>'exec_id' end,
        'cl_ord_id', coalesce(v_order.cl_ord_id, p_break.theirs->>'cl_ord_id'),
        'side', coalesce(p_break.theirs->>'side', p_break.ours->>'side'),
        'symbol', coalesce(p_break.theirs->>'symbol', p_break.ours->>'symbol'),
        'last_qty', p_break.theirs->>'quantity', 'last_px', p_break.theirs->>'price',
        'trade_date', split_part(p_break.reference, ' ', 1),
        'session_id', v_order.session_id, 'text', 'operator: ' || p_reason));
    perform oms.record_report(v_venue, jsonb_build_object('fix_session', 'operator', 'seqnum', p_break.break_id,
        'msg_type', '8', 'raw', v_report::text, 'exec_id', v_report->>'exec_id'), v_report);
    return v_report;
end
$$;
comment on function oms._take_theirs(oms.breaks, text) is 'Books or settles what the other side of a break says.';
