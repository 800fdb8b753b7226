-- The P&L of a session by account, strategy, instrument and trading date, as known at a time, from one date
-- to another (null: the first, and the last one there is something of). See portfolio.pnl_daily.
-- Errors: TT001 a time of no use, or p_from after p_to; TT002 unknown session.
create or replace function portfolio.pnl_daily_at(
    p_session_id uuid,
    p_from date default null,
    p_to date default null,
    p_known_at timestamptz default 'infinity'
)
returns table (
    session_id uuid, account text, strategy_id integer, strategy text, instrument_id integer, symbol text,
    trading_date date, currency text, opening_quantity numeric, closing_quantity numeric,
    opening_mark numeric, closing_mark numeric, mark_source text, realized numeric,
    unrealized_change numeric, fees numeric, dividends numeric, funding numeric, total numeric,
    account_currency text, rate numeric, price_pnl numeric, fx numeric, total_account numeric,
    flows numeric, flows_account numeric, value_account numeric
)
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
begin
    perform portfolio._check_days(p_session_id, p_from, p_to, p_known_at);
    return query
    with daily as (
        select d.* from portfolio._daily(p_session_id, p_to, p_known_at) d
        where p_from is null or d.trading_date >= p_from),
    -- As ref.symbol, of all days in one statement.
    names as (
        select s.instrument_id, n.trading_date, min(s.symbol) as symbol
        from ref.symbols s
        join (select distinct d.trading_date from daily d) n
            on s.valid_from <= n.trading_date and n.trading_date < s.valid_to
        where s.instrument_id in (select d.instrument_id from daily d)
            and ref._known(s.known_at, s.superseded_at, p_known_at)
        group by s.instrument_id, n.trading_date)
    select p_session_id, d.account, d.strategy_id, t.strategy, d.instrument_id,
        coalesce(n.symbol, i.symbol), d.trading_date,
        d.currency, d.opening_quantity, d.closing_quantity, d.opening_mark, d.closing_mark, d.mark_source,
        d.realized, d.unrealized_change, d.fees, d.dividends, d.funding, d.total, d.account_currency, d.rate,
        d.price_pnl, d.fx, d.total_account, d.flows, d.flows_account, d.value_account
    from daily d
    left join ref.instruments i using (instrument_id)
    left join names n on n.instrument_id = d.instrument_id and n.trading_date = d.trading_date
    left join signal.strategies t on t.strategy_id = d.strategy_id;
end
$$;
comment on function portfolio.pnl_daily_at(uuid, date, date, timestamptz) is
    'P&L of a session by day, account, strategy and instrument, as known at a time; columns as in portfolio.pnl_daily.';
grant execute on function portfolio.pnl_daily_at(uuid, date, date, timestamptz)
    to tsdb_reader;
