-- Applies one fill to a position by average cost. p_quantity is signed: positive bought.
-- The caller holds the account's lock (oms._lock_account) and has stored the execution.
-- realized_pnl - fees = cash + cost always. A fill of an earlier trade date than the position's last
-- has the position booked anew: the order of the fills is by trade date.
create or replace function portfolio._book_fill(
    p_session_id uuid,
    p_account text,
    p_strategy_id integer,
    p_instrument_id integer,
    p_quantity numeric,
    p_price numeric,
    p_fee numeric,
    p_trade_date date default null
) returns void
language plpgsql
as $$
declare
    v_old portfolio._positions;
    v_closed numeric;
    v_cost_closed numeric;
begin
    select * into v_old from portfolio._positions
    where session_id = p_session_id and account = p_account and strategy_id = p_strategy_id
        and instrument_id = p_instrument_id
    for update;
    if not found then
        insert into portfolio._positions (session_id, account, strategy_id, instrument_id)
        values (p_session_id, p_account, p_strategy_id, p_instrument_id)
        returning * into v_old;
    elsif p_trade_date < v_old.last_trade_date then
        perform portfolio._rebuild_position(p_session_id, p_account, p_strategy_id, p_instrument_id);
        return;
    end if;

    v_closed := portfolio._closed(v_old.quantity, p_quantity);
    v_cost_closed := portfolio._cost_closed(v_old.quantity, v_old.cost, v_closed);
    update portfolio._positions
    set quantity = quantity + p_quantity,
        cost = cost - v_cost_closed + (p_quantity + v_closed) * p_price,
        realized_pnl = realized_pnl + v_closed * p_price - v_cost_closed,
        fees = fees + p_fee,
        cash = cash - p_quantity * p_price - p_fee,
        bought_quantity = bought_quantity + greatest(p_quantity, 0),
        sold_quantity = sold_quantity + greatest(-p_quantity, 0),
        last_trade_date = coalesce(p_trade_date, last_trade_date),
        updated_at = clock_timestamp()
    where session_id = p_session_id and account = p_account and strategy_id = p_strategy_id
        and instrument_id = p_instrument_id;
end
$$;
comment on function portfolio._book_fill(uuid, text, integer, integer, numeric, numeric, numeric, date) is
    'Average-cost booking of one fill.';
