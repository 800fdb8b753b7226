-- Books one fill: the execution row, its ledger entry and the position. p_order is null for a fill
-- of an order nobody knows, which goes to the suspense account with an alert and a break.
-- The caller holds the account's lock. Returns the execution's id.
create or replace function oms._book_execution(
    p_order oms.orders,
    p_venue ref.venues,
    p_report jsonb,
    p_trade_date date,
    p_message oms.fix_messages
) returns bigint
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    v_suspense constant uuid := '00000000-0000-0000-0000-000000000000';
    v_quantity constant numeric := p_report->>'last_qty';
    v_price constant numeric := p_report->>'last_px';
    v_fee constant numeric := coalesce((p_report->>'commission')::numeric, v_quantity * p_venue.fee_per_share);
    v_side text := coalesce(p_order.side, p_report->>'side');
    v_row oms.executions;
begin
    v_row.order_id := p_order.order_id;
    v_row.account := coalesce(p_order.account, 'suspense');
    v_row.session_id := coalesce(p_order.session_id, (
        select session_id from ops.sessions where session_id::text = p_report->>'session_id'), v_suspense);
    v_row.strategy_id := coalesce(p_order.strategy_id, (
        select strategy_id from signal.strategies where strategy = 'manual'));
    v_row.instrument_id := coalesce(p_order.instrument_id, (
        select instrument_id from ref.instruments where symbol = p_report->>'symbol'));
    insert into oms.executions (ts, order_id, session_id, account, strategy_id, instrument_id, venue_id,
        trade_date, exec_id, side, quantity, price, fee, message_id, message_at)
    values (coalesce((p_report->>'transact_time')::timestamptz, p_message.recorded_at), v_row.order_id,
        v_row.session_id, v_row.account, v_row.strategy_id, v_row.instrument_id, p_venue.venue_id,
        p_trade_date, p_report->>'exec_id', v_side, v_quantity, v_price, v_fee,
        p_message.message_id, p_message.recorded_at)
    returning execution_id into v_row.execution_id;
    update oms.execution_keys set execution_id = v_row.execution_id
    where venue_id = p_venue.venue_id and trade_date = p_trade_date and exec_id = p_report->>'exec_id';
    perform portfolio._book_fill(v_row.session_id, v_row.account, v_row.strategy_id, v_row.instrument_id,
        case v_side when 'buy' then v_quantity else -v_quantity end, v_price, v_fee);
    if p_order.pair_id is not null then
        insert into oms.pair_holdings as h (session_id, pair_id, instrument_id, quantity)
        values (p_order.session_id, p_order.pair_id, p_order.instrument_id,
            case v_side when 'buy' then v_quantity else -v_quantity end)
        on conflict (session_id, pair_id, instrument_id) do update
            set quantity = h.quantity + excluded.quantity;
    end if;
    perform pg_notify('oms_executions', '');
    return v_row.execution_id;
end
$$;
comment on function oms._book_execution(oms.orders, ref.venues, jsonb, date, oms.fix_messages) is
    'Books one fill on the order, the ledger and the position.';
