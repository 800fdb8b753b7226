-- Has the scheduler calibrate a feed's pairs on daily bars at every formation end from now on, or not any
-- more. p_arguments: how, as signal.calibrations.arguments has it. Errors: TT001, TT002 unknown feed.
create or replace function signal.schedule_calibration(p_feed text, p_enabled boolean, p_arguments jsonb)
returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_feed_id constant integer := market._feed_id(p_feed);
begin
    perform ops._audit('signal.schedule_calibration', p_feed,
        jsonb_build_object('enabled', p_enabled, 'arguments', p_arguments));
    if p_enabled is null or jsonb_typeof(p_arguments) is distinct from 'object' then
        raise exception 'a schedule is enabled or not, and its arguments are a JSON object'
            using errcode = 'TT001';
    end if;
    insert into signal.calibration_schedules as s (feed_id, enabled, arguments)
    values (v_feed_id, p_enabled, p_arguments)
    on conflict (feed_id) do update
    set enabled = excluded.enabled, arguments = excluded.arguments, set_by = session_user,
        set_at = clock_timestamp();
end
$$;
comment on function signal.schedule_calibration(text, boolean, jsonb) is
    'Switches the scheduled calibration of a feed''s pairs on or off. Errors: TT001, TT002.';
grant execute on function signal.schedule_calibration(text, boolean, jsonb) to tsdb_ops;
