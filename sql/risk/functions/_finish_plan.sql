-- Ends a plan with its open legs, and resolves its alerts. p_as_of null: the session is over.
create or replace function risk._finish_plan(p_plan_id bigint, p_status text, p_as_of timestamptz, p_note text)
returns void
language plpgsql
as $$
begin
    update risk.reduction_plans
    set status = p_status, finished_as_of = p_as_of, finished_at = clock_timestamp(), note = p_note
    where plan_id = p_plan_id;
    update risk.reduction_legs l
    set finished_as_of = coalesce(p_as_of, 'infinity'), final_quantity = risk._plan_position(l)
    where l.plan_id = p_plan_id and l.finished_as_of is null;
    perform ops._resolve_alerts(array(
        select a.alert_id from ops.alerts a
        where a.kind in ('plan_refused', 'plan_overdue') and a.resolved_at is null
            and (a.detail->>'plan_id')::bigint = p_plan_id));
end
$$;
comment on function risk._finish_plan(bigint, text, timestamptz, text) is 'Ends a reduction plan.';
