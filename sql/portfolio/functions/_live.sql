-- What the live positions of a session have to be, or one of them: all executions, and the corporate
-- actions that were applied to the session.
create or replace function portfolio._live(
    p_session_id uuid,
    p_account text default null,
    p_strategy_id integer default null,
    p_instrument_id integer default null
)
returns table (
    account text, strategy_id integer, instrument_id integer, quantity numeric, cost numeric,
    realized_pnl numeric, fees numeric, cash numeric, bought_quantity numeric, sold_quantity numeric,
    dividends numeric, last_trade_date date
)
language sql
stable
as $$
    select b.*
    from portfolio._booked(p_session_id, 'infinity', 'infinity', 'infinity', 'average', p_account,
        p_strategy_id, p_instrument_id, coalesce((
            select a.applied_through from portfolio.applied_actions a
            where a.session_id = p_session_id), '-infinity')) b
$$;
comment on function portfolio._live(uuid, text, integer, integer) is
    'What the live positions of a session have to be.';
