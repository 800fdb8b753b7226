-- The cash ledger up to a session time, as known at a time: what was paid and received, by whom, for what,
-- in which currency. Kinds: trade and fee (an execution's; a bust or correction reverses them on the day
-- of the fill it is about), dividend, distribution, cash_in_lieu and spin_off (derived from ref at the
-- ex date; a spin-off moves cost from the parent to the child and adds up to nothing), and the kinds of
-- portfolio.book_cash. p_session_id null: of all sessions.
-- Errors: TT001 a time of no use; TT002 unknown session.
create or replace function portfolio.cash_entries_at(
    p_as_of timestamptz, p_known_at timestamptz default 'infinity', p_session_id uuid default null
)
returns table (
    session_id uuid, account text, strategy_id integer, instrument_id integer, kind text, currency text,
    amount numeric, trade_date date, ts timestamptz, recorded_at timestamptz, execution_id bigint,
    entry_id bigint, reference text
)
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
begin
    perform portfolio._check_question(p_as_of, p_known_at, 'average', p_session_id);
    return query
    select s.session_id, e.*
    from ops.sessions s
    cross join lateral portfolio._entries(s.session_id, p_as_of, 'infinity', p_known_at) e
    where p_session_id is null or s.session_id = p_session_id;
end
$$;
comment on function portfolio.cash_entries_at(timestamptz, timestamptz, uuid) is
    'The cash ledger up to a session time, as known at a time.';
grant execute on function portfolio.cash_entries_at(timestamptz, timestamptz, uuid)
    to tsdb_reader;
