-- Does what is due for one position of a plan: cancels a child order whose bucket is over, and once it is
-- gone submits the next. While the fate of a child is not known, none follows. Returns the orders sent.
-- The caller holds the account's lock.
create or replace function oms._step_leg(
    p_plan risk.reduction_plans,
    p_leg risk.reduction_legs,
    p_as_of timestamptz
) returns integer
language plpgsql
as $$
declare
    v_bucket_no constant integer :=
        floor(extract(epoch from p_as_of - p_plan.starts_at) / extract(epoch from p_plan.bucket)) + 1;
    v_remaining constant numeric := (risk._plan_room(p_leg)).remaining;
    v_last risk.reduction_slices;
    v_child oms.orders;
begin
    select s.* into v_last from risk.reduction_slices s
    where s.plan_id = p_leg.plan_id and s.leg = p_leg.leg order by s.bucket_no desc limit 1;
    select o.* into v_child from oms.orders o where o.order_id = v_last.order_id for update;
    if v_child.is_live then
        -- Beyond what is left it would overshoot the target: somebody else has reduced meanwhile.
        if p_plan.status <> 'active' or v_last.bucket_no < v_bucket_no or oms._exposed(v_child) > v_remaining then
            perform oms._cancel(v_child, null, p_as_of);
        end if;
        return 0;
    end if;
    if p_plan.status <> 'active' then
        return 0;
    end if;
    if v_remaining = 0 then
        perform risk._clear_refusal(p_leg);
        update risk.reduction_legs l set finished_as_of = p_as_of, final_quantity = risk._plan_position(l)
        where l.plan_id = p_leg.plan_id and l.leg = p_leg.leg;
        return 0;
    end if;
    if v_bucket_no < 1 or v_last.bucket_no >= v_bucket_no then
        return 0;
    end if;
    if v_child.cumulative_quantity > 0 then
        perform risk._clear_refusal(p_leg);
    elsif v_child.status = 'rejected' then
        perform risk._note_refusal(p_leg, v_child.order_id, array['rejected by the venue']);
    end if;
    return oms._submit_slice(p_plan, p_leg, v_bucket_no, v_last.order_id, p_as_of);
end
$$;
comment on function oms._step_leg(risk.reduction_plans, risk.reduction_legs, timestamptz) is
    'Does what is due for one position of a plan.';
