-- Writes one row of portfolio.pnl_history per account and strategy of a session, in account currency at the rates of
-- the time (portfolio._rate_at); returns how many. What no mark or rate is known of is null.
-- Once per p_as_of: a second call with a time already marked writes nothing.
create or replace function portfolio.mark_session(p_session_id uuid, p_as_of timestamptz)
returns integer
language sql
security definer
set search_path = pg_catalog, pg_temp
as $$
    with marked as (
        insert into portfolio.pnl_history (as_of, session_id, account, strategy_id, realized_pnl,
            unrealized_pnl, fees, gross_exposure, net_exposure)
        -- A sum over a missing mark would hide it: one null makes the sum null.
        select p_as_of, p.session_id, p.account, p.strategy_id,
            case when bool_and(x.rate is not null) then sum(p.realized_pnl * x.rate) end,
            case when bool_and(p.unrealized_pnl * x.rate is not null) then sum(p.unrealized_pnl * x.rate) end,
            case when bool_and(x.rate is not null) then sum(p.fees * x.rate) end,
            case when bool_and(p.exposure * x.rate is not null) then sum(p.exposure * x.rate) end,
            case when bool_and(p.exposure * x.rate is not null) then sum(sign(p.quantity) * p.exposure * x.rate) end
        from portfolio.pnl p
        join ref.accounts a using (account)
        cross join lateral (
            select case when p.currency = a.currency then 1
                else portfolio._rate_at(p.currency, a.currency, p_as_of) end as rate) x
        where p.session_id = p_session_id
            and not exists (
                select from portfolio.pnl_history h
                where h.session_id = p_session_id and h.as_of = p_as_of)
        group by p.session_id, p.account, p.strategy_id
        returning 1)
    select count(*)::integer from marked
$$;
comment on function portfolio.mark_session(uuid, timestamptz) is
    'Records the marked P&L and exposure of a session at a session time; returns the rows written.';
grant execute on function portfolio.mark_session(uuid, timestamptz) to tsdb_worker_risk;
