-- Applies an ExecutionReport to an order the caller has locked; false when it was applied before.
create or replace function oms._apply_report(
    p_order oms.orders,
    p_venue ref.venues,
    p_report jsonb,
    p_message oms.fix_messages
) returns boolean
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    v_exec_type constant text := p_report->>'exec_type';
    v_as_of constant timestamptz := coalesce((p_report->>'transact_time')::timestamptz, p_message.recorded_at);
    v_trade_date constant date := coalesce((p_report->>'trade_date')::date, (v_as_of at time zone 'UTC')::date);
    v_is_fill constant boolean := v_exec_type = 'trade';
    v_fill numeric := 0;
    v_digest constant text := md5(concat_ws('|', v_exec_type, p_report->>'cl_ord_id', p_report->>'side',
        p_report->>'symbol', trim_scale((p_report->>'last_qty')::numeric),
        trim_scale((p_report->>'last_px')::numeric), trim_scale((p_report->>'cum_qty')::numeric)));
    v_known text;
    v_execution_id bigint;
    v_status text;
    v_cumulative numeric;
begin
    if p_report->>'exec_id' is null then
        raise exception 'a report needs exec_id' using errcode = 'TT001';
    end if;
    insert into oms.execution_keys (venue_id, trade_date, exec_id, digest)
    values (p_venue.venue_id, v_trade_date, p_report->>'exec_id', v_digest)
    on conflict do nothing;
    if not found then
        select digest into v_known from oms.execution_keys
        where venue_id = p_venue.venue_id and trade_date = v_trade_date and exec_id = p_report->>'exec_id';
        if v_known <> v_digest then
            perform oms._note_break('execution_content', p_order.session_id, p_order.order_id, p_venue.venue_id,
                jsonb_build_object('exec_id', p_report->>'exec_id', 'digest', v_known), p_report);
        end if;
        return false;
    end if;

    if v_is_fill then
        if ((p_report->>'last_qty')::numeric > 0 and (p_report->>'last_qty')::numeric < 'infinity'
            and (p_report->>'last_px')::numeric > 0 and (p_report->>'last_px')::numeric < 'infinity') is not true then
            raise exception 'fill % has quantity % and price %', p_report->>'exec_id',
                coalesce(p_report->>'last_qty', 'null'), coalesce(p_report->>'last_px', 'null')
                using errcode = 'TT001';
        end if;
        v_fill := p_report->>'last_qty';
    end if;
    if p_order.order_id is null then
        perform oms._note_break('unknown_order', null, null, p_venue.venue_id, '{}', p_report);
        if v_is_fill and exists (select from ref.instruments where symbol = p_report->>'symbol') then
            perform oms._book_execution(null, p_venue, p_report, v_trade_date, p_message);
        end if;
        return true;
    end if;

    if v_is_fill then
        v_execution_id := oms._book_execution(p_order, p_venue, p_report, v_trade_date, p_message);
    end if;
    v_cumulative := p_order.cumulative_quantity + v_fill;
    v_status := oms._next_status(p_order, v_exec_type, v_cumulative);
    if v_exec_type in ('trade_cancel', 'trade_correct') then
        perform oms._note_break('execution_content', p_order.session_id, p_order.order_id, p_venue.venue_id,
            jsonb_build_object('reason', 'busts and corrections need a person'), p_report);
    end if;
    if v_status is not null and v_status <> p_order.status and not exists (
        select from oms.order_transitions where from_status = p_order.status and to_status = v_status) then
        perform oms._note_break('status', p_order.session_id, p_order.order_id, p_venue.venue_id,
            jsonb_build_object('status', p_order.status), p_report);
        v_status := null;
    end if;
    perform oms._add_event(p_order.order_id, v_exec_type, v_status, v_as_of, v_fill,
        case when v_is_fill then (p_report->>'last_px')::numeric else 0 end, v_execution_id, p_message.message_id,
        jsonb_strip_nulls(jsonb_build_object('exec_id', p_report->>'exec_id', 'text', p_report->>'text',
            'ord_rej_reason', p_report->>'ord_rej_reason')),
        p_report->>'order_id');
    if v_status = 'rejected' then
        update oms.orders set reasons = array['venue: ' || coalesce(p_report->>'text', 'no reason given')]
        where order_id = p_order.order_id;
    end if;
    perform oms._compare_quantity(p_order, v_cumulative, p_venue.venue_id, p_report);
    return true;
end
$$;
comment on function oms._apply_report(oms.orders, ref.venues, jsonb, oms.fix_messages) is
    'Applies an execution report to a locked order.';
