-- Changes settings of a FIX session; the gateway that has it starts anew with them.
-- p_changes: columns of oms.fix_sessions and their values; null takes a limit or interval away.
-- Errors: TT001 a setting that does not exist or cannot be; TT002 unknown session.
create or replace function oms.configure_fix_session(p_fix_session text, p_changes jsonb)
returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_row oms.fix_sessions;
    v_key text;
begin
    perform ops._audit('oms.configure_fix_session', p_fix_session, jsonb_build_object('changes', p_changes));
    if jsonb_typeof(p_changes) is distinct from 'object' then
        raise exception 'the settings of FIX session % are no JSON object', p_fix_session using errcode = 'TT001';
    end if;
    select k into v_key from jsonb_object_keys(p_changes) k
    where k in ('fix_session', 'venue_id', 'updated_at') or not exists (
        select from pg_attribute a
        where a.attrelid = 'oms.fix_sessions'::regclass and a.attnum > 0 and a.attname = k)
    limit 1;
    if found then
        raise exception 'FIX session %: "%" is no setting that can be changed', p_fix_session, v_key
            using errcode = 'TT001';
    end if;
    select * into v_row from oms.fix_sessions where fix_session = p_fix_session for update;
    if not found then
        raise exception 'FIX session "%" does not exist: see oms.fix_sessions', p_fix_session using errcode = 'TT002';
    end if;
    v_row := jsonb_populate_record(v_row, p_changes);
    update oms.fix_sessions s
    set kind = v_row.kind, version = v_row.version, host = v_row.host, port = v_row.port,
        sender = v_row.sender, target = v_row.target, heartbeat_s = v_row.heartbeat_s,
        throttle_per_s = v_row.throttle_per_s, queue_alert_s = v_row.queue_alert_s,
        stale_s = v_row.stale_s, silence_s = v_row.silence_s,
        cancel_on_disconnect = v_row.cancel_on_disconnect, has_mass_status = v_row.has_mass_status,
        has_mass_cancel = v_row.has_mass_cancel, has_trade_capture = v_row.has_trade_capture,
        mass_status_every_s = v_row.mass_status_every_s, trades_every_s = v_row.trades_every_s,
        status = v_row.status, updated_at = clock_timestamp()
    where s.fix_session = p_fix_session;
    perform pg_notify('oms_fix_sessions', '');
exception
    when unique_violation then
        raise exception 'FIX session %: the venue has an active order session already, or another one has the same version, sender and target',
            p_fix_session using errcode = 'TT001';
    when check_violation or not_null_violation or invalid_text_representation or numeric_value_out_of_range then
        raise exception 'FIX session %: %', p_fix_session, sqlerrm using errcode = 'TT001';
end
$$;
comment on function oms.configure_fix_session(text, jsonb) is
    'Changes settings of a FIX session, for which its gateway starts anew. Errors: TT001 unusable setting, TT002 unknown session.';
grant execute on function oms.configure_fix_session(text, jsonb) to tsdb_ops;
