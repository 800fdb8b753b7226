-- Changes settings of value at risk from now on: p_settings names columns of risk.var_settings with their
-- new values, the others stay. The next refresh prepares by them. Returns the id of the new row.
-- Errors: TT001 no reason, an unusable value; TT002 an unknown setting, a calendar that is not loaded.
create or replace function risk.set_var_settings(p_settings jsonb, p_reason text)
returns integer
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_old constant risk.var_settings := risk._var_settings();
    v_new risk.var_settings;
    v_bad text;
begin
    perform ops._audit('risk.set_var_settings', p_settings::text, '{}', p_reason);
    if coalesce(p_reason, '') = '' or jsonb_typeof(p_settings) is distinct from 'object' then
        raise exception 'settings need an object of them and a reason' using errcode = 'TT001';
    end if;
    select k into v_bad from jsonb_object_keys(p_settings) k
    where k not in ('window_days', 'confidence', 'decay', 'factors', 'paths', 'seed', 'max_gaps',
        'max_history_age', 'max_mark_age', 'max_rate_age', 'calendar') limit 1;
    if v_bad is not null then
        raise exception 'value at risk has no setting "%"', v_bad using errcode = 'TT002';
    end if;
    v_new := jsonb_populate_record(v_old, p_settings);
    if v_new.calendar is not null and not exists (
        select from ref.calendars c where c.exchange = v_new.calendar) then
        raise exception 'calendar "%" is not loaded', v_new.calendar using errcode = 'TT002';
    end if;
    insert into risk.var_settings (window_days, confidence, decay, factors, paths, seed, max_gaps,
        max_history_age, max_mark_age, max_rate_age, calendar, reason)
    values (v_new.window_days, v_new.confidence, v_new.decay, v_new.factors, v_new.paths, v_new.seed,
        v_new.max_gaps, v_new.max_history_age, v_new.max_mark_age, v_new.max_rate_age, v_new.calendar, p_reason)
    returning settings_id into v_new.settings_id;
    return v_new.settings_id;
exception
    when check_violation or not_null_violation or data_exception then
        raise exception 'settings % cannot be: %', p_settings, sqlerrm using errcode = 'TT001';
end
$$;
comment on function risk.set_var_settings(jsonb, text) is
    'Changes settings of value at risk (columns of risk.var_settings); returns the new row''s id. Errors: TT001, TT002.';
grant execute on function risk.set_var_settings(jsonb, text) to tsdb_risk;
