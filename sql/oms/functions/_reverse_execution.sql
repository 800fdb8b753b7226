-- Applies a bust (trade_cancel) or correction (trade_correct) to the execution that ExecRefID names, of
-- whatever day, known by its own ExecID or that of an earlier correction: reverses what stands of it
-- and, for a correction, books the new terms. Returns how the order's filled quantity and its value
-- change, and the last execution booked; nulls when there is nothing to reverse, which is a break.
-- The caller holds the account's lock. Errors: TT001 new terms that are no positive numbers.
create or replace function oms._reverse_execution(
    p_order oms.orders,
    p_venue ref.venues,
    p_report jsonb,
    p_trade_date date,
    p_message oms.fix_messages,
    out quantity_change numeric,
    out value_change numeric,
    out execution_id bigint
)
language plpgsql
as $$
#variable_conflict use_column
declare
    v_reference constant text := coalesce(p_report->>'exec_ref_id', '');
    v_root bigint;
    v_standing oms.executions;
    v_new oms.executions;
begin
    select coalesce(e.root_execution_id, e.execution_id) into v_root
    from oms.execution_keys k
    join oms.executions e on e.execution_id = k.execution_id
    where k.venue_id = p_venue.venue_id and k.exec_id = v_reference
        and e.order_id is not distinct from p_order.order_id
    order by k.trade_date = p_trade_date desc, k.trade_date desc
    limit 1;
    if v_root is null then
        perform oms._note_break('unknown_execution', p_order, p_venue.venue_id, '{}', p_report, v_reference);
        return;
    end if;
    -- The last row that adds is what stands, unless it was reversed after.
    select e.* into v_standing from oms.executions e
    where e.execution_id = v_root or e.root_execution_id = v_root
    order by e.execution_id desc limit 1;
    if v_standing.quantity < 0 then
        perform oms._note_break('execution_content', p_order, p_venue.venue_id,
            jsonb_build_object('exec_id', v_standing.exec_id, 'reason', 'busted before'), p_report, v_reference);
        return;
    end if;
    v_new := v_standing;
    v_new.execution_id := null;
    v_new.kind := case p_report->>'exec_type' when 'trade_cancel' then 'bust' else 'correction' end;
    v_new.root_execution_id := v_root;
    v_new.exec_id := p_report->>'exec_id';
    v_new.trade_date := p_trade_date;
    v_new.ts := coalesce((p_report->>'transact_time')::timestamptz, p_message.recorded_at);
    v_new.quantity := -v_standing.quantity;
    v_new.fee := -v_standing.fee;
    execution_id := oms._book_execution(p_order, v_new, p_message);
    quantity_change := -v_standing.quantity;
    value_change := -v_standing.quantity * v_standing.price;
    if v_new.kind = 'correction' then
        v_new := oms._read_fill(p_order, p_venue, p_report, p_trade_date, p_message);
        v_new.kind := 'correction';
        v_new.root_execution_id := v_root;
        v_new.session_id := v_standing.session_id;
        v_new.instrument_id := v_standing.instrument_id;
        v_new.side := v_standing.side;
        execution_id := oms._book_execution(p_order, v_new, p_message);
        quantity_change := quantity_change + v_new.quantity;
        value_change := value_change + v_new.quantity * v_new.price;
    end if;
    perform portfolio._rebuild_position(v_standing.session_id, v_standing.account, v_standing.strategy_id,
        v_standing.instrument_id);
end
$$;
comment on function oms._reverse_execution(oms.orders, ref.venues, jsonb, date, oms.fix_messages) is
    'Applies a bust or correction to the executions.';
