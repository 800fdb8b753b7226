-- Raises the alert of a plan that is not done at its deadline, once.
create or replace function risk._check_deadline(p_plan risk.reduction_plans, p_as_of timestamptz)
returns void
language plpgsql
as $$
begin
    if p_plan.deadline <= p_as_of and not p_plan.is_overdue then
        update risk.reduction_plans set is_overdue = true where plan_id = p_plan.plan_id;
        perform ops.raise_alert('plan_overdue', 'critical',
            format('plan %s was not done by its deadline', p_plan.plan_id),
            jsonb_build_object('plan_id', p_plan.plan_id, 'deadline', p_plan.deadline, 'left', (
                select jsonb_object_agg(i.symbol, (risk._plan_room(l)).remaining)
                from risk.reduction_legs l join ref.instruments i using (instrument_id)
                where l.plan_id = p_plan.plan_id and l.finished_as_of is null)));
    end if;
end
$$;
comment on function risk._check_deadline(risk.reduction_plans, timestamptz) is
    'Raises the alert of a plan that is late.';
