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
    if p_session_id is null then
        raise exception 'a session is missing' using errcode = 'TT001';
    end if;
    perform portfolio._check_question('infinity', p_known_at, 'average', p_session_id);
    if p_from > p_to or not isfinite(p_to) then
        raise exception 'no days from % to %', p_from, p_to using errcode = 'TT001';
    end if;
    return query
    with daily as (
        select d.* from portfolio._daily(p_session_id, p_to, p_known_at) d
        where p_from is null or d.trading_date >= p_from),
    -- An instrument has one name on a day, in however many rows.
    names as (
        select n.instrument_id, n.trading_date, ref.symbol(n.instrument_id, n.trading_date, p_known_at) as symbol
        from (select distinct d.instrument_id, d.trading_date from daily d) n)
    select p_session_id, d.account, d.strategy_id, t.strategy, d.instrument_id, n.symbol, d.trading_date,
        d.currency, d.opening_quantity, d.closing_quantity, d.opening_mark, d.closing_mark, d.mark_source,
        d.realized, d.unrealized_change, d.fees, d.dividends, d.funding, d.total, d.account_currency, d.rate,
        d.price_pnl, d.fx, d.total_account, d.flows, d.flows_account, d.value_account
    from daily d
    left join names n on n.instrument_id = d.instrument_id and n.trading_date = d.trading_date
    left join signal.strategies t on t.strategy_id = d.strategy_id;
end
$$;
comment on function portfolio.pnl_daily_at(uuid, date, date, timestamptz) is
    'P&L of a session by day, account, strategy and instrument, as known at a time; columns as in portfolio.pnl_daily.';
grant execute on function portfolio.pnl_daily_at(uuid, date, date, timestamptz)
    to tsdb_reader;
