-- Books a position anew from its executions, as if what was busted had never been and what was
-- corrected had been right at once: average cost depends on the order of the fills, so reversing one
-- at the end would leave a wrong realized P&L. The caller holds the account's lock.
create or replace function portfolio._rebuild_position(
    p_session_id uuid,
    p_account text,
    p_strategy_id integer,
    p_instrument_id integer
) returns void
language plpgsql
as $$
declare
    v_fill record;
begin
    update portfolio._positions
    set quantity = 0, cost = 0, realized_pnl = 0, fees = 0, cash = 0, bought_quantity = 0, sold_quantity = 0
    where session_id = p_session_id and account = p_account and strategy_id = p_strategy_id
        and instrument_id = p_instrument_id;
    -- Row by row: each fill's cost depends on the position before it.
    for v_fill in
        select s.side, s.quantity, s.price, s.fee
        from (
            select distinct on (coalesce(e.root_execution_id, e.execution_id))
                coalesce(e.root_execution_id, e.execution_id) as root, e.side, e.quantity, e.price, e.fee
            from oms.executions e
            where e.session_id = p_session_id and e.account = p_account and e.strategy_id = p_strategy_id
                and e.instrument_id = p_instrument_id
            order by 1, e.execution_id desc) s
        where s.quantity > 0
        order by s.root
    loop
        perform portfolio._book_fill(p_session_id, p_account, p_strategy_id, p_instrument_id,
            case v_fill.side when 'buy' then v_fill.quantity else -v_fill.quantity end, v_fill.price, v_fill.fee);
    end loop;
end
$$;
comment on function portfolio._rebuild_position(uuid, text, integer, integer) is
    'Books a position anew from the executions that stand.';
