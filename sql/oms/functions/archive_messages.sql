-- Archives FIX messages that change nothing else, session-level ones above all.
-- p_messages: array of objects with direction (in, out), fix_session, seqnum, msg_type, raw, and
-- where there are any sending_time, recorded_at, cl_ord_id, orig_cl_ord_id, exec_id. Returns their number.
create or replace function oms.archive_messages(p_messages jsonb)
returns integer
language sql
security definer
set search_path = pg_catalog, pg_temp
as $$
    select count((oms._archive(m)).message_id)::integer from jsonb_array_elements(p_messages) m
$$;
comment on function oms.archive_messages(jsonb) is 'Archives FIX messages; returns how many.';
grant execute on function oms.archive_messages(jsonb) to tsdb_worker;
