-- The positions as they were at a session time, by what was known at a wall-clock time, booked from the
-- executions and corporate actions by average, fifo, lifo or specific lots. p_session_id null: of all
-- sessions. An action counts from the start of its ex date in the time zone of the instrument's listing;
-- as of infinity, announced ones count as well. symbol is that of the day asked for.
-- Errors: TT001 a time or method of no use; TT002 unknown session.
create or replace function portfolio.positions_at(
    p_as_of timestamptz,
    p_known_at timestamptz default 'infinity',
    p_method text default 'average',
    p_session_id uuid default null
)
returns table (
    session_id uuid, account text, strategy_id integer, strategy text, instrument_id integer, symbol text,
    currency text, quantity numeric, average_price numeric, cost numeric, realized_pnl numeric,
    fees numeric, cash numeric, bought_quantity numeric, sold_quantity numeric, dividends numeric,
    funding numeric
)
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
begin
    perform portfolio._check_question(p_as_of, p_known_at, p_method, p_session_id);
    return query
    select s.session_id, b.account, b.strategy_id, t.strategy, b.instrument_id,
        ref.symbol(b.instrument_id, (p_as_of at time zone 'UTC')::date, p_known_at), i.currency, b.quantity,
        b.cost / nullif(b.quantity, 0), b.cost, b.realized_pnl, b.fees, b.cash, b.bought_quantity,
        b.sold_quantity, b.dividends, portfolio._funding(s.session_id, b.account, b.strategy_id,
            b.instrument_id, i.currency, p_as_of, p_known_at)
    from ops.sessions s
    cross join lateral portfolio._booked(s.session_id, p_as_of, 'infinity', p_known_at, p_method) b
    join ref.instruments i using (instrument_id)
    join signal.strategies t using (strategy_id)
    where p_session_id is null or s.session_id = p_session_id;
end
$$;
comment on function portfolio.positions_at(timestamptz, timestamptz, text, uuid) is
    'Positions as of a session time, as known at a time, by average, fifo, lifo or specific lots.';
grant execute on function portfolio.positions_at(timestamptz, timestamptz, text, uuid)
    to tsdb_reader;
