-- Counts ticks that were stored and cannot be handed to a session, whose batches had passed their
-- time; in the transaction that stored them.
create or replace function market.note_late_ticks(p_session_id uuid, p_ticks bigint)
returns void
language sql
security definer
set search_path = pg_catalog, pg_temp
as $$
    insert into market.late_ticks as l (session_id, ticks)
    values (p_session_id, p_ticks)
    on conflict (session_id) do update
        set ticks = l.ticks + excluded.ticks, updated_at = clock_timestamp()
$$;
comment on function market.note_late_ticks(uuid, bigint) is
    'Counts ticks that came too late for a live session.';
grant execute on function market.note_late_ticks(uuid, bigint) to tsdb_worker_feeds;
