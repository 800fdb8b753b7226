-- Archives FIX messages: an array of objects with fix_session, seqnum, msg_type, raw, direction (default:
-- out), and where there are any sending_time, recorded_at, cl_ord_id, orig_cl_ord_id, exec_id. The rows
-- come back in the order of the array. Errors: TT001 a message lacks something, or its direction is neither.
create or replace function oms._archive(p_messages jsonb)
returns setof oms.fix_messages
language plpgsql
as $$
#variable_conflict use_column
begin
    return query
        insert into oms.fix_messages (recorded_at, fix_session, direction, seqnum, msg_type, sending_time,
            cl_ord_id, orig_cl_ord_id, exec_id, raw)
        select coalesce(m.recorded_at, clock_timestamp()), m.fix_session, coalesce(m.direction, 'out'), m.seqnum,
            m.msg_type, m.sending_time, m.cl_ord_id, m.orig_cl_ord_id, m.exec_id, m.raw
        from jsonb_to_recordset(p_messages) as m (recorded_at timestamptz, fix_session text, direction text,
            seqnum bigint, msg_type text, sending_time timestamptz, cl_ord_id text, orig_cl_ord_id text,
            exec_id text, raw text)
        returning *;
exception
    when not_null_violation or check_violation then
        raise exception 'a FIX message to archive lacks something: %', sqlerrm using errcode = 'TT001';
end
$$;
comment on function oms._archive(jsonb) is 'Archives FIX messages; returns their rows.';
