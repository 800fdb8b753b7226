-- The loss of an account on the trading day, and its fall from the highest mark, in account currency; at most the
-- monitor's last look (risk.monitor_states) says where the day began and how high it was. Null where a position has
-- no mark or no rate to the account's currency, which problem names.
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
        greatest(m.high_water, t.total, 0) - t.total,
        t.problem
    into v_loss
    from ops.sessions s
    cross join lateral risk._trading_day(s.parameters->>'calendar', p_as_of) d
    cross join lateral (
        -- A sum over a missing mark would hide it.
        select case when coalesce(bool_and(p.net_pnl * x.rate is not null), true)
                then coalesce(sum(p.net_pnl * x.rate), 0) end as total,
            string_agg(distinct case when x.rate is null
                then portfolio._rate_problem(p.currency, a.currency, p_as_of) end, '; ') as problem
        from portfolio.pnl p
        join ref.accounts a using (account)
        cross join lateral (
            select case when p.currency = a.currency then 1
                else portfolio._rate_at(p.currency, a.currency, p_as_of) end as rate) x
        where p.session_id = p_session_id and p.account = p_account) t
    left join risk.monitor_states m
        on m.session_id = p_session_id and m.account = p_account and m.strategy_id = 0
    where s.session_id = p_session_id;
    return v_loss;
end
$$;
comment on function risk._loss_of(uuid, text, timestamptz) is 'Daily loss and drawdown of an account.';
