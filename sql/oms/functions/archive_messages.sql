-- Archives FIX messages that change nothing else, session-level ones above all.
-- p_messages: array of objects with direction (in, out), fix_session, seqnum, msg_type, raw, and
-- where there are any sending_time, recorded_at, cl_ord_id, orig_cl_ord_id, exec_id. Returns their number.
-- An order, replace or cancel (D, G, F) that a dead gateway sent and did not record becomes the message of its
-- action, whose status the venue's answer decides.
create or replace function oms.archive_messages(p_messages jsonb)
returns integer
language sql
security definer
set search_path = pg_catalog, pg_temp
as $$
    with archived as (
        select a.* from oms._archive(p_messages) a),
    linked as (
        update oms.order_actions x set message_id = a.message_id, message_at = a.recorded_at
        from archived a
        where a.direction = 'out' and a.msg_type in ('D', 'F', 'G') and x.cl_ord_id = a.cl_ord_id
            and x.message_id is null)
    select count(*)::integer from archived
$$;
comment on function oms.archive_messages(jsonb) is 'Archives FIX messages; returns how many.';
grant execute on function oms.archive_messages(jsonb) to tsdb_worker_gateway;
