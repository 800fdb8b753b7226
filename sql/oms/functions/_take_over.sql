-- Cancels what others have working or held on the instruments of a plan, in its scope: a plan that shares
-- its positions with orders of before could not end at its target. Other plans look after their own orders.
-- The caller holds the account's lock.
create or replace function oms._take_over(p_plan risk.reduction_plans, p_as_of timestamptz)
returns void
language plpgsql
as $$
declare
    v_order oms.orders;
begin
    for v_order in
        select o.* from oms.orders o
        join risk.reduction_legs l
            on l.plan_id = p_plan.plan_id and l.instrument_id = o.instrument_id and l.finished_as_of is null
        where o.session_id = p_plan.session_id and o.account = p_plan.account
            and o.strategy_id = coalesce(p_plan.strategy_id, o.strategy_id)
            and (o.is_live or o.status = 'held') and o.origin <> 'plan'
        order by o.is_parent desc, o.order_id for update of o
    loop
        -- A parent's cancel has reached its children by now.
        select o.* into v_order from oms.orders o where o.order_id = v_order.order_id;
        perform oms._cancel(v_order, null, p_as_of);
    end loop;
    update risk.reduction_plans set taken_over = true where plan_id = p_plan.plan_id;
end
$$;
comment on function oms._take_over(risk.reduction_plans, timestamptz) is
    'Cancels what others have working on a plan''s positions.';
