-- Books one execution: its row, its ledger entry, the position and the pair's holding. p_row holds
-- ts, kind, side, quantity (signed: negative reverses), price, fee, exec_id, trade_date, venue_id,
-- liquidity, root_execution_id, execution_id if the ledger of ExecIDs names it already and, for an order
-- nobody knows, session_id and instrument_id; the rest is the order's, or suspense. The caller holds the
-- account's lock. Returns the execution's id.
create or replace function oms._book_execution(
    p_order oms.orders,
    p_row oms.executions,
    p_message oms.fix_messages
) returns bigint
language plpgsql
as $$
declare
    v_row oms.executions := p_row;
    v_signed constant numeric := case p_row.side when 'buy' then p_row.quantity else -p_row.quantity end;
begin
    v_row.order_id := p_order.order_id;
    v_row.account := coalesce(p_order.account, 'suspense');
    v_row.session_id := coalesce(p_order.session_id, p_row.session_id);
    v_row.strategy_id := coalesce(p_order.strategy_id, (
        select strategy_id from signal.strategies where strategy = 'manual'));
    v_row.instrument_id := coalesce(p_order.instrument_id, p_row.instrument_id);
    insert into oms.executions (ts, execution_id, order_id, session_id, account, strategy_id, instrument_id, venue_id,
        trade_date, exec_id, side, quantity, price, fee, kind, root_execution_id, liquidity, message_id, message_at)
    overriding system value
    values (v_row.ts, coalesce(p_row.execution_id, nextval('oms.executions_execution_id_seq')), v_row.order_id, v_row.session_id, v_row.account, v_row.strategy_id, v_row.instrument_id,
        v_row.venue_id, v_row.trade_date, v_row.exec_id, v_row.side, v_row.quantity, v_row.price, v_row.fee,
        v_row.kind, v_row.root_execution_id, v_row.liquidity, p_message.message_id, p_message.recorded_at)
    returning execution_id into v_row.execution_id;
    if p_row.execution_id is null then
        update oms.execution_keys set execution_id = v_row.execution_id
        where venue_id = v_row.venue_id and trade_date = v_row.trade_date and exec_id = v_row.exec_id;
    end if;
    if v_row.kind = 'fill' then
        perform portfolio._book_fill(v_row.session_id, v_row.account, v_row.strategy_id, v_row.instrument_id,
            v_signed, v_row.price, v_row.fee, v_row.trade_date);
    end if;
    if p_order.pair_id is not null then
        insert into oms.pair_holdings as h (session_id, pair_id, instrument_id, quantity)
        values (p_order.session_id, p_order.pair_id, p_order.instrument_id, v_signed)
        on conflict (session_id, pair_id, instrument_id) do update
            set quantity = h.quantity + excluded.quantity;
    end if;
    perform pg_notify('oms_executions', '');
    return v_row.execution_id;
end
$$;
comment on function oms._book_execution(oms.orders, oms.executions, oms.fix_messages) is
    'Books one execution on the ledger and the position.';
