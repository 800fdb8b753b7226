-- Does what is due for a plan. Returns the orders sent.
create or replace function oms._step_plan(p_plan_id bigint, p_as_of timestamptz)
returns integer
language plpgsql
as $$
declare
    v_plan risk.reduction_plans;
    v_leg risk.reduction_legs;
    v_sent integer := 0;
begin
    select p.* into v_plan from risk.reduction_plans p where p.plan_id = p_plan_id;
    perform oms._lock_account(v_plan.session_id, v_plan.account);
    -- As it is now that nobody else can carry it out.
    select p.* into v_plan from risk.reduction_plans p where p.plan_id = p_plan_id for update;
    if v_plan.finished_at is not null then
        return 0;
    end if;
    if v_plan.status = 'active' then
        perform risk._raise_plan_states(p_plan_id);
        if not v_plan.taken_over then
            perform oms._take_over(v_plan, p_as_of);
        end if;
    end if;
    for v_leg in
        select l.* from risk.reduction_legs l
        where l.plan_id = p_plan_id and l.finished_as_of is null order by l.leg
    loop
        v_sent := v_sent + oms._step_leg(v_plan, v_leg, p_as_of);
    end loop;
    if v_plan.status = 'active' and not exists (
        select from risk.reduction_legs l where l.plan_id = p_plan_id and l.finished_as_of is null) then
        perform risk._finish_plan(p_plan_id, 'done', p_as_of, null);
    elsif v_plan.status = 'cancelling' and not exists (
        select from risk.reduction_slices s join oms.orders o using (order_id)
        where s.plan_id = p_plan_id and o.is_live) then
        perform risk._finish_plan(p_plan_id, case when v_plan.note is null then 'cancelled' else 'failed' end,
            p_as_of, v_plan.note);
    else
        perform risk._check_deadline(v_plan, p_as_of);
    end if;
    return v_sent;
end
$$;
comment on function oms._step_plan(bigint, timestamptz) is 'Does what is due for a plan.';
