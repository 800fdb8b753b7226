-- Resolves alerts that are open.
create or replace function ops._resolve_alerts(p_alert_ids bigint[])
returns void
language plpgsql
as $$
begin
    update ops.alerts set resolved_at = clock_timestamp()
    where alert_id = any (p_alert_ids) and resolved_at is null;
end
$$;
comment on function ops._resolve_alerts(bigint[]) is 'Resolves alerts.';
