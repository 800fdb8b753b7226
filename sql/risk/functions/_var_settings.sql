-- The settings that count: the last row of risk.var_settings.
create or replace function risk._var_settings()
returns risk.var_settings
language sql
stable
as $$
    select s from risk.var_settings s order by s.settings_id desc limit 1
$$;
comment on function risk._var_settings() is 'The settings of value at risk that count.';
