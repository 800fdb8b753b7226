-- The batch a session's strategies must be stepped on next, null when none waits.
-- plpgsql, because a function in language sql is planned again at every call.
create or replace function signal.next_batch(p_session_id uuid)
returns bigint
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
begin
    return (
        select b.batch_id from market.batches b
        where b.session_id = p_session_id
            and b.batch_no = 1 + coalesce((
                select max(c.consumption_no) from signal.consumed_batches c
                where c.session_id = p_session_id), 0));
end
$$;
comment on function signal.next_batch(uuid) is
    'The batch a session''s strategies must be stepped on next, null when none waits.';
grant execute on function signal.next_batch(uuid) to tsdb_reader;
