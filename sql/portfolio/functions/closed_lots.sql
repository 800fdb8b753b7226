-- What was closed up to a session time, as known at a time: a row per opening and closing that were matched.
-- quantity has the sign of the position that was closed and is in units of the closing's day; cost is what
-- it had cost, proceeds what it brought; realized_pnl = proceeds - cost, before fees.
-- closed_by: fill; cash_in_lieu of a fraction; receipt of a spin-off's shares into the opposite position.
-- Errors: TT001 a time or method of no use; TT002 unknown session.
create or replace function portfolio.closed_lots(
    p_as_of timestamptz,
    p_known_at timestamptz default 'infinity',
    p_method text default 'fifo',
    p_session_id uuid default null
)
returns table (
    session_id uuid, account text, strategy_id integer, instrument_id integer, match_no bigint,
    opening_execution_id bigint, opened_on date, opened_at timestamptz, closed_by text,
    closing_execution_id bigint, closed_on date, closed_at timestamptz, quantity numeric, cost numeric,
    proceeds numeric, realized_pnl numeric, days_held integer
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
    select s.session_id, e.account, e.strategy_id, e.instrument_id,
        row_number() over (partition by s.session_id, e.account, e.strategy_id, e.instrument_id order by f.ordinality),
        f.opening_execution_id, f.opened_on, f.opened_at, f.kind, f.execution_id, f.trade_date, f.ts,
        f.quantity, f.cost, f.cost + f.realized, f.realized, f.trade_date - f.opened_on
    from ops.sessions s
    cross join lateral portfolio._events(s.session_id, p_as_of, 'infinity', p_known_at, p_method) e
    cross join lateral portfolio._fold(e.events, p_method, true) with ordinality f
    where f.line = 'closed' and (p_session_id is null or s.session_id = p_session_id);
end
$$;
comment on function portfolio.closed_lots(timestamptz, timestamptz, text, uuid) is
    'Matched openings and closings up to a session time, as known at a time, with realized P&L and days held.';
grant execute on function portfolio.closed_lots(timestamptz, timestamptz, text, uuid)
    to tsdb_reader;
