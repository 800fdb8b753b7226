-- Resolves the alert about a refused order of a plan's position.
create or replace function risk._clear_refusal(p_leg risk.reduction_legs)
returns void
language plpgsql
as $$
begin
    if p_leg.alert_id is not null then
        perform ops._resolve_alerts(array[p_leg.alert_id]);
        update risk.reduction_legs set alert_id = null where plan_id = p_leg.plan_id and leg = p_leg.leg;
    end if;
end
$$;
comment on function risk._clear_refusal(risk.reduction_legs) is 'Resolves the alert about a refused order.';
