-- The loss of an account on the trading day, and its fall from the highest mark, in account currency; at most the
-- monitor's last look (risk.monitor_states) says where the day began and how high it was. Null where a position has
-- no mark or is in another currency.
create or replace function risk._loss_of(p_session_id uuid, p_account text, p_as_of timestamptz)
returns risk.loss
language plpgsql
stable
as $$
declare
    v_loss risk.loss;
begin
    select
        case
            when m.session_id is null then 0
            when m.trading_date is not distinct from d.trading_date then m.opening_pnl
            else m.total_pnl end - t.total,
        greatest(m.high_water, t.total, 0) - t.total
    into v_loss
    from ops.sessions s
    cross join lateral risk._trading_day(s.parameters->>'calendar', p_as_of) d
    cross join lateral (
        -- A sum over a missing mark would hide it.
        select case when coalesce(bool_and(i.currency = a.currency and p.net_pnl is not null), true)
            then coalesce(sum(p.net_pnl), 0) end as total
        from portfolio.pnl p
        join ref.instruments i using (instrument_id)
        join ref.accounts a using (account)
        where p.session_id = p_session_id and p.account = p_account) t
    left join risk.monitor_states m
        on m.session_id = p_session_id and m.account = p_account and m.strategy_id = 0
    where s.session_id = p_session_id;
    return v_loss;
end
$$;
comment on function risk._loss_of(uuid, text, timestamptz) is 'Daily loss and drawdown of an account.';
