-- Records what a person must know; an equal unresolved alert is not raised twice.
create or replace function ops.raise_alert(
    p_kind text,
    p_severity text,
    p_message text,
    p_detail jsonb default '{}'
) returns bigint
language sql
security definer
set search_path = pg_catalog, pg_temp
as $$
    insert into ops.alerts (kind, severity, message, detail)
    select p_kind, p_severity, p_message, p_detail
    where not exists (
        select from ops.alerts
        where kind = p_kind and message = p_message and resolved_at is null)
    returning alert_id
$$;
comment on function ops.raise_alert(text, text, text, jsonb) is
    'Raises an alert of severity info, warning or critical; null when the same one is open already.';
grant execute on function ops.raise_alert(text, text, text, jsonb) to tsdb_worker_any, tsdb_ops;
