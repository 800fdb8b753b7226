-- Archives one message of a venue, for whoever acts on it. p_message: see oms._archive.
-- Errors: TT001 the message lacks something.
create or replace function oms._archive_report(p_message jsonb)
returns oms.fix_messages
language plpgsql
as $$
declare
    v_row oms.fix_messages;
begin
    v_row := jsonb_populate_record(v_row, p_message);
    if num_nulls(v_row.fix_session, v_row.seqnum, v_row.msg_type, v_row.raw) > 0 then
        raise exception 'a FIX message to archive lacks fix_session, seqnum, msg_type or raw' using errcode = 'TT001';
    end if;
    insert into oms.fix_messages (recorded_at, fix_session, direction, seqnum, msg_type, sending_time,
        cl_ord_id, orig_cl_ord_id, exec_id, raw)
    values (coalesce(v_row.recorded_at, clock_timestamp()), v_row.fix_session, 'in', v_row.seqnum, v_row.msg_type,
        v_row.sending_time, v_row.cl_ord_id, v_row.orig_cl_ord_id, v_row.exec_id, v_row.raw)
    returning message_id, recorded_at into v_row.message_id, v_row.recorded_at;
    return v_row;
end
$$;
comment on function oms._archive_report(jsonb) is 'Archives one message of a venue; returns its row.';
