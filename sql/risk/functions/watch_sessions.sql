-- Ends what the risk monitor keeps open of sessions that are over: their breaches, and their reduction
-- plans, which nobody carries out any more. Returns how many of both.
create or replace function risk.watch_sessions()
returns integer
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_breaches bigint[];
    v_plan risk.reduction_plans;
    v_count integer := 0;
begin
    select array_agg(b.breach_id) into v_breaches
    from risk.breaches b join ops.sessions s using (session_id)
    where b.until is null and s.status <> 'open';
    if v_breaches is not null then
        perform risk._end_breaches(v_breaches, 'the session is over');
        v_count := cardinality(v_breaches);
    end if;
    for v_plan in
        select p.* from risk.reduction_plans p join ops.sessions s using (session_id)
        where p.finished_at is null and s.status <> 'open'
        order by p.plan_id for update of p
    loop
        perform risk._finish_plan(v_plan.plan_id, 'cancelled', null, 'the session is over');
        v_count := v_count + 1;
    end loop;
    return v_count;
end
$$;
comment on function risk.watch_sessions() is
    'Ends the breaches and reduction plans of sessions that are over; returns how many.';
grant execute on function risk.watch_sessions() to tsdb_worker_risk;
