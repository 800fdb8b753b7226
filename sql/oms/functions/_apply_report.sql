-- Applies an ExecutionReport to an order the caller has locked; false when it was applied before.
create or replace function oms._apply_report(
    p_order oms.orders,
    p_venue ref.venues,
    p_report jsonb,
    p_message oms.fix_messages
) returns boolean
language plpgsql
as $$
declare
    v_exec_type constant text := p_report->>'exec_type';
    v_as_of constant timestamptz := coalesce((p_report->>'transact_time')::timestamptz, p_message.recorded_at);
    v_trade_date constant date := coalesce((p_report->>'trade_date')::date, (v_as_of at time zone 'UTC')::date);
    v_order oms.orders := p_order;
    v_fill oms.executions;
    v_change record;
    v_quantity numeric := 0;
    v_value numeric := 0;
    v_execution_id bigint;
    v_status text;
    v_terms jsonb := '{}';
begin
    if v_exec_type = 'trade' then
        v_fill := oms._read_fill(p_order, p_venue, p_report, v_trade_date, p_message);
        if p_order.order_id is not null then
            v_fill.execution_id := nextval('oms.executions_execution_id_seq');
        end if;
    end if;
    if not oms._claim_execution(p_order, p_venue.venue_id, v_trade_date, p_report, v_fill.execution_id) then
        return false;
    end if;
    if p_order.order_id is null then
        perform oms._note_break('unknown_order', p_order, p_venue.venue_id, '{}', p_report, p_report->>'exec_id');
        if v_exec_type = 'trade' and v_fill.instrument_id is not null then
            perform oms._book_execution(p_order, v_fill, p_message);
        elsif v_exec_type in ('trade_cancel', 'trade_correct') then
            perform oms._reverse_execution(p_order, p_venue, p_report, v_trade_date, p_message);
        end if;
        return true;
    end if;

    if v_exec_type = 'trade' then
        v_execution_id := oms._book_execution(p_order, v_fill, p_message);
        v_quantity := v_fill.quantity;
        v_value := v_fill.quantity * v_fill.price;
    elsif v_exec_type in ('trade_cancel', 'trade_correct') then
        select r.* into v_change
        from oms._reverse_execution(p_order, p_venue, p_report, v_trade_date, p_message) r;
        v_execution_id := v_change.execution_id;
        v_quantity := coalesce(v_change.quantity_change, 0);
        v_value := coalesce(v_change.value_change, 0);
    elsif v_exec_type in ('replaced', 'restated') then
        v_terms := oms._apply_terms(p_order, p_report);
        select o.* into v_order from oms.orders o where o.order_id = p_order.order_id;
    end if;

    if v_exec_type = 'replaced' then
        v_status := case
            when v_order.cumulative_quantity >= v_order.quantity then 'filled'
            when v_order.status = 'unknown' or not v_order.is_live then null
            else oms._idle_status(v_order.order_id, v_order.status, v_order.cumulative_quantity) end;
    elsif v_exec_type not in ('trade_cancel', 'trade_correct') or v_execution_id is not null then
        v_status := oms._next_status(v_order, v_exec_type, p_report->>'ord_status',
            v_order.cumulative_quantity + v_quantity);
    end if;
    if v_status is not null and v_status <> v_order.status and not exists (
        select from oms.order_transitions where from_status = v_order.status and to_status = v_status) then
        perform oms._note_break('status', v_order, p_venue.venue_id,
            jsonb_build_object('status', v_order.status), p_report);
        v_status := null;
    end if;
    if v_status in ('filled', 'cancelled', 'rejected', 'expired') then
        -- What is still asked of the venue comes too late, whatever it answers.
        update oms.order_actions a set status = 'void'
        where a.order_id = v_order.order_id and a.kind = 'replace' and a.status in ('pending', 'sent');
        update oms.orders o set pending_quantity = null
        where o.order_id = v_order.order_id and o.pending_quantity is not null;
    end if;
    perform oms._add_event(v_order.order_id, v_exec_type, v_status, v_as_of, v_quantity, v_value,
        v_execution_id, p_message.message_id,
        v_terms || jsonb_strip_nulls(jsonb_build_object('exec_id', p_report->>'exec_id', 'text', p_report->>'text',
            'ord_rej_reason', p_report->>'ord_rej_reason', 'exec_ref_id', p_report->>'exec_ref_id',
            'exec_restatement_reason', p_report->>'exec_restatement_reason')),
        p_report->>'order_id');
    if v_status = 'rejected' then
        update oms.orders set reasons = array['venue: ' || coalesce(p_report->>'text', 'no reason given')]
        where order_id = v_order.order_id;
    end if;
    if v_quantity <> 0 then
        perform oms._trim_reduce_only(v_order.session_id, v_order.account, v_order.instrument_id, v_as_of);
    end if;
    perform oms._compare_quantity(v_order, v_order.cumulative_quantity + v_quantity, p_venue.venue_id, p_report);
    return true;
end
$$;
comment on function oms._apply_report(oms.orders, ref.venues, jsonb, oms.fix_messages) is
    'Applies an execution report to a locked order.';
