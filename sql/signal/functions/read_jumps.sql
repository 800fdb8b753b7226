-- The jumps of a feed's daily closes from p_from to before p_to that no corporate action explains
-- (market.daily_suspects over these bars alone): finding bad_tick, distribution or jump, and the return
-- of the day. Errors: TT002 unknown feed.
create or replace function signal.read_jumps(p_feed text, p_from date, p_to date)
returns table (instrument_id integer, date date, finding text, simple_return double precision)
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
    select s.instrument_id, s.date, s.finding, s.observed
    from market.daily_suspects(p_feed, p_from, p_to - 1) s
    where s.finding in ('bad_tick', 'distribution', 'jump')
    order by s.instrument_id, s.date
$$;
comment on function signal.read_jumps(text, date, date) is
    'Unexplained jumps of a feed''s daily closes: bad_tick, distribution or jump. Errors: TT002.';
grant execute on function signal.read_jumps(text, date, date) to tsdb_reader, tsdb_worker_scheduler;
