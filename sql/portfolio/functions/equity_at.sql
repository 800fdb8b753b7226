-- The equity of a session's accounts by trading date, in each account's currency, as known at a time, up to a
-- date (null: the last one there is something of). high_water_mark: the highest equity so far, moved by
-- what was paid in and out since; drawdown: how far equity is below it, never below zero.
-- Null where a mark or rate is missing. Errors: TT001, TT002 as portfolio.pnl_daily_at.
create or replace function portfolio.equity_at(
    p_session_id uuid, p_to date default null, p_known_at timestamptz default 'infinity'
)
returns table (
    session_id uuid, account text, trading_date date, currency text, cash numeric, market_value numeric,
    equity numeric, flows numeric, pnl numeric, high_water_mark numeric, drawdown numeric
)
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
begin
    perform portfolio._check_days(p_session_id, null, p_to, p_known_at);
    return query
    with days as (
        -- A sum over a missing value would hide it.
        select d.account, d.trading_date, d.account_currency,
            case when bool_and(d.value_account is not null) filter (where d.instrument_id is null)
                then coalesce(sum(d.value_account) filter (where d.instrument_id is null), 0) end as cash,
            case when coalesce(bool_and(d.value_account is not null) filter (where d.instrument_id is not null), true)
                then coalesce(sum(d.value_account) filter (where d.instrument_id is not null), 0) end as market_value,
            case when bool_and(d.flows_account is not null) then sum(d.flows_account) end as flows,
            case when bool_and(d.total_account is not null) then sum(d.total_account) end as pnl
        from portfolio._daily(p_session_id, p_to, p_known_at) d
        group by d.account, d.trading_date, d.account_currency),
    earned as (
        select d.*, d.cash + d.market_value as equity,
            d.cash + d.market_value - case
                when bool_and(d.flows is not null) over so_far then sum(d.flows) over so_far end as earned
        from days d
        window so_far as (partition by d.account order by d.trading_date)),
    peaks as (
        select e.*, greatest(max(e.earned) over (partition by e.account order by e.trading_date), 0) - e.earned
            as drawdown
        from earned e)
    select p_session_id, p.account, p.trading_date, p.account_currency, p.cash, p.market_value, p.equity,
        p.flows, p.pnl, p.equity + p.drawdown, p.drawdown
    from peaks p;
end
$$;
comment on function portfolio.equity_at(uuid, date, timestamptz) is
    'Equity of a session''s accounts by day, with high-water mark and drawdown, as known at a time.';
grant execute on function portfolio.equity_at(uuid, date, timestamptz)
    to tsdb_reader;
