-- The positions of a session, booked from nothing by one method up to a time and a trade date, as known at
-- a time; with p_account, p_strategy_id and p_instrument_id one of them. realized - fees = cash + cost.
-- last_trade_date: of the last fill or corporate action. dividends: in the instrument's currency at the rate of the ex date, null where that is missing.
create or replace function portfolio._booked(
    p_session_id uuid,
    p_as_of timestamptz,
    p_through date,
    p_known_at timestamptz,
    p_method text,
    p_account text default null,
    p_strategy_id integer default null,
    p_instrument_id integer default null,
    p_actions_through date default 'infinity'
)
returns table (
    account text, strategy_id integer, instrument_id integer, quantity numeric, cost numeric,
    realized_pnl numeric, fees numeric, cash numeric, bought_quantity numeric, sold_quantity numeric,
    dividends numeric, last_trade_date date
)
language sql
stable
as $$
    select e.account, e.strategy_id, e.instrument_id, b.quantity, b.cost, b.realized_pnl, b.fees, b.cash,
        b.bought_quantity, b.sold_quantity, b.dividends, b.last_trade_date
    from portfolio._events(p_session_id, p_as_of, p_through, p_known_at, p_method, p_account, p_strategy_id,
        p_instrument_id, p_actions_through) e
    join ref.instruments i using (instrument_id)
    cross join lateral (
        select max(f.position) filter (where f.n = cardinality(e.events)) as quantity,
            max(f.position_cost) filter (where f.n = cardinality(e.events)) as cost,
            sum(f.realized) as realized_pnl, sum(f.fee) as fees, sum(f.cash) as cash,
            coalesce(sum(f.quantity) filter (where f.kind = 'fill' and f.quantity > 0), 0) as bought_quantity,
            coalesce(-sum(f.quantity) filter (where f.kind = 'fill' and f.quantity < 0), 0) as sold_quantity,
            case when bool_and(f.income = 0 or x.rate is not null)
                then sum(case when f.income = 0 then 0 else f.income * x.rate end) end as dividends,
            max(f.trade_date) as last_trade_date
        from portfolio._fold(e.events, p_method, false) f
        left join lateral (
            select ref.fx_rate(f.currency, i.currency, f.trade_date, p_known_at) as rate) x on f.income <> 0) b
$$;
comment on function portfolio._booked(
    uuid, timestamptz, date, timestamptz, text, text, integer, integer, date) is
    'The positions of a session, booked from nothing by one method.';
