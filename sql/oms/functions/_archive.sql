-- Archives one FIX message given as an object (keys: direction, fix_session, seqnum, msg_type,
-- sending_time, cl_ord_id, orig_cl_ord_id, exec_id, raw, recorded_at). Errors: TT001 raw or key missing.
create or replace function oms._archive(p_message jsonb)
returns oms.fix_messages
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    v_row oms.fix_messages;
begin
    insert into oms.fix_messages (recorded_at, fix_session, direction, seqnum, msg_type, sending_time,
        cl_ord_id, orig_cl_ord_id, exec_id, raw)
    values (coalesce((p_message->>'recorded_at')::timestamptz, clock_timestamp()),
        p_message->>'fix_session', coalesce(p_message->>'direction', 'out'),
        (p_message->>'seqnum')::bigint, p_message->>'msg_type',
        (p_message->>'sending_time')::timestamptz, p_message->>'cl_ord_id',
        p_message->>'orig_cl_ord_id', p_message->>'exec_id', p_message->>'raw')
    returning * into v_row;
    return v_row;
exception
    when not_null_violation or check_violation then
        raise exception 'a FIX message to archive lacks something: %', sqlerrm using errcode = 'TT001';
end
$$;
comment on function oms._archive(jsonb) is 'Archives one FIX message.';
