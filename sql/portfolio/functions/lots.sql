-- The open lots at a session time, as known at a time: what is left of each execution that opened, and what
-- that cost. quantity and cost are negative when short. After a spin-off the child's lots are those of
-- the parent: opened when that was. By average there is one lot without an execution.
-- Errors: TT001 a time or method of no use; TT002 unknown session.
create or replace function portfolio.lots(
    p_as_of timestamptz,
    p_known_at timestamptz default 'infinity',
    p_method text default 'fifo',
    p_session_id uuid default null
)
returns table (
    session_id uuid, account text, strategy_id integer, instrument_id integer, lot_no bigint,
    opening_execution_id bigint, opened_on date, opened_at timestamptz, quantity numeric, cost numeric,
    price numeric
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
        f.opening_execution_id, f.opened_on, f.opened_at, f.quantity, f.cost, f.cost / f.quantity
    from ops.sessions s
    cross join lateral portfolio._events(s.session_id, p_as_of, 'infinity', p_known_at, p_method) e
    cross join lateral portfolio._fold(e.events, p_method, true) with ordinality f
    where f.line = 'open' and (p_session_id is null or s.session_id = p_session_id);
end
$$;
comment on function portfolio.lots(timestamptz, timestamptz, text, uuid) is
    'Open lots as of a session time, as known at a time, by average, fifo, lifo or specific.';
grant execute on function portfolio.lots(timestamptz, timestamptz, text, uuid)
    to tsdb_reader;
