-- Books a live position anew from its executions and the corporate actions that are applied to its
-- session, as if what was busted had never been and what was corrected had been right at once: average
-- cost depends on the order of the fills, so reversing one at the end would leave a wrong realized P&L.
-- The caller holds the account's lock.
create or replace function portfolio._rebuild_position(
    p_session_id uuid,
    p_account text,
    p_strategy_id integer,
    p_instrument_id integer
) returns void
language plpgsql
as $$
begin
    insert into portfolio._positions (session_id, account, strategy_id, instrument_id)
    values (p_session_id, p_account, p_strategy_id, p_instrument_id)
    on conflict do nothing;
    update portfolio._positions p
    set quantity = coalesce(b.quantity, 0), cost = coalesce(b.cost, 0),
        realized_pnl = coalesce(b.realized_pnl, 0), fees = coalesce(b.fees, 0), cash = coalesce(b.cash, 0),
        bought_quantity = coalesce(b.bought_quantity, 0), sold_quantity = coalesce(b.sold_quantity, 0),
        dividends = case when b.account is null then 0 else b.dividends end,
        last_trade_date = b.last_trade_date, updated_at = clock_timestamp()
    from (values (1)) one (one)
    left join portfolio._live(p_session_id, p_account, p_strategy_id, p_instrument_id) b on true
    where p.session_id = p_session_id and p.account = p_account and p.strategy_id = p_strategy_id
        and p.instrument_id = p_instrument_id;
end
$$;
comment on function portfolio._rebuild_position(uuid, text, integer, integer) is
    'Books a live position anew from the executions that stand and the corporate actions applied.';
