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
    v_count integer;
begin
    with archived as (
        select a.message_id, a.recorded_at, a.sending_time, row_number() over () as n
        from oms._archive(p_messages) a),
    -- Of an action that is named twice the first message counts.
    sent as (
        select distinct on (g.action_id) g.action_id, a.message_id, a.recorded_at, a.sending_time
        from (
            select (m->>'action_id')::bigint as action_id, n
            from jsonb_array_elements(p_messages) with ordinality as t (m, n)) g
        join archived a using (n)
        order by g.action_id, n),
    marked as (
        update oms.order_actions o
        set status = case o.status when 'pending' then 'sent' else o.status end,
            -- The engine's own time: recording follows a burst of sends.
            sent_at = coalesce(s.sending_time, s.recorded_at),
            message_id = s.message_id, message_at = s.recorded_at
        from sent s
        where o.action_id = s.action_id and (o.status = 'pending' or o.message_id is null))
    select count(*) into v_count from archived;
    return v_count;
end
$$;
comment on function oms.record_sent(jsonb) is 'Archives sent messages and marks their actions; returns how many.';
grant execute on function oms.record_sent(jsonb) to tsdb_worker_gateway;
