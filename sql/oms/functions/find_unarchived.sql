-- Which of a FIX session's messages are missing from the archive. A number alone does not say: it
-- starts again after a reset, so the sending time decides too.
-- p_messages: array of objects with seqnum and sending_time. Returns the missing numbers.
create or replace function oms.find_unarchived(p_fix_session text, p_direction text, p_messages jsonb)
returns setof bigint
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
    select m.seqnum
    from jsonb_to_recordset(p_messages) as m (seqnum bigint, sending_time timestamptz)
    where not exists (
        select from oms.fix_messages f
        where f.fix_session = p_fix_session and f.direction = p_direction and f.seqnum = m.seqnum
            and f.sending_time is not distinct from m.sending_time)
    order by m.seqnum
$$;
comment on function oms.find_unarchived(text, text, jsonb) is
    'Numbers of those FIX messages, given with their sending times, that the archive lacks.';
grant execute on function oms.find_unarchived(text, text, jsonb) to tsdb_worker_gateway;
