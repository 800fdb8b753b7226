-- Records that the gateway handed actions to the FIX engine: archives each message and marks its
-- action sent. An action already marked keeps its first message; the message is archived all the same.
-- The venue's answer can be quicker than this: an action it settled gets its message and stays as it is.
-- p_messages: array of objects as in oms.archive_messages, each with action_id.
create or replace function oms.record_sent(p_messages jsonb)
returns integer
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_message jsonb;
    v_archived oms.fix_messages;
    v_count integer := 0;
begin
    for v_message in select m from jsonb_array_elements(p_messages) m loop
        v_archived := oms._archive(v_message);
        update oms.order_actions
        set status = case status when 'pending' then 'sent' else status end,
            -- The engine's own time: recording follows a burst of sends.
            sent_at = coalesce(v_archived.sending_time, v_archived.recorded_at),
            message_id = v_archived.message_id, message_at = v_archived.recorded_at
        where action_id = (v_message->>'action_id')::bigint
            and (status = 'pending' or message_id is null);
        v_count := v_count + 1;
    end loop;
    return v_count;
end
$$;
comment on function oms.record_sent(jsonb) is 'Archives sent messages and marks their actions; returns how many.';
grant execute on function oms.record_sent(jsonb) to tsdb_worker;
