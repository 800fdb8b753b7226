-- Ends the given open breaches, and resolves the alerts that no open breach needs any more.
create or replace function risk._end_breaches(p_breach_ids bigint[], p_resolution text)
returns void
language plpgsql
as $$
begin
    update risk.breaches
    set until = over_at, resolved_at = clock_timestamp(), resolved_by = session_user, resolution = p_resolution
    where breach_id = any (p_breach_ids) and until is null;
    perform ops._resolve_alerts(array(
        select e.alert_id from risk.breaches e
        where e.breach_id = any (p_breach_ids) and not exists (
            select from risk.breaches b where b.alert_id = e.alert_id and b.until is null)));
end
$$;
comment on function risk._end_breaches(bigint[], text) is 'Ends breaches and resolves their alerts.';
