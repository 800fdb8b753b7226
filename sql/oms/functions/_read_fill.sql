-- Reads the execution in a report. Errors: TT001 a quantity or price that is no positive number.
create or replace function oms._read_fill(
    p_order oms.orders,
    p_venue ref.venues,
    p_report jsonb,
    p_trade_date date,
    p_message oms.fix_messages
) returns oms.executions
language plpgsql
stable
as $$
declare
    v_suspense constant uuid := '00000000-0000-0000-0000-000000000000';
    v_row oms.executions;
begin
    v_row.quantity := p_report->>'last_qty';
    v_row.price := p_report->>'last_px';
    if (v_row.quantity > 0 and v_row.quantity < 'infinity'
        and v_row.price > 0 and v_row.price < 'infinity') is not true then
        raise exception 'execution % has quantity % and price %', p_report->>'exec_id',
            coalesce(p_report->>'last_qty', 'null'), coalesce(p_report->>'last_px', 'null')
            using errcode = 'TT001';
    end if;
    v_row.ts := coalesce((p_report->>'transact_time')::timestamptz, p_message.recorded_at);
    v_row.kind := 'fill';
    v_row.venue_id := p_venue.venue_id;
    v_row.trade_date := p_trade_date;
    v_row.exec_id := p_report->>'exec_id';
    v_row.side := coalesce(p_order.side, p_report->>'side');
    v_row.fee := coalesce((p_report->>'commission')::numeric, v_row.quantity * p_venue.fee_per_share);
    v_row.liquidity := p_report->>'last_liquidity_ind';
    if p_order.order_id is null then
        select i.instrument_id into v_row.instrument_id from ref.instruments i where i.symbol = p_report->>'symbol';
        v_row.session_id := coalesce((
            select s.session_id from ops.sessions s where s.session_id::text = p_report->>'session_id'), v_suspense);
    end if;
    return v_row;
end
$$;
comment on function oms._read_fill(oms.orders, ref.venues, jsonb, date, oms.fix_messages) is
    'Reads the execution in a report.';
