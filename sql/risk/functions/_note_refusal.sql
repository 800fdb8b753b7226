-- Raises the alert that a child order of a plan was denied or rejected, once until one of them trades.
create or replace function risk._note_refusal(p_leg risk.reduction_legs, p_order_id bigint, p_reasons text[])
returns void
language plpgsql
as $$
declare
    v_message constant text := format('plan %s cannot reduce %s: its order was refused', p_leg.plan_id,
        (select i.symbol from ref.instruments i where i.instrument_id = p_leg.instrument_id));
    v_alert_id bigint;
begin
    v_alert_id := ops.raise_alert('plan_refused', 'critical', v_message, jsonb_build_object(
        'plan_id', p_leg.plan_id, 'leg', p_leg.leg, 'order_id', p_order_id, 'reasons', p_reasons));
    if v_alert_id is not null then
        update risk.reduction_legs set alert_id = v_alert_id
        where plan_id = p_leg.plan_id and leg = p_leg.leg;
    end if;
end
$$;
comment on function risk._note_refusal(risk.reduction_legs, bigint, text[]) is
    'Raises the alert that a plan''s order was refused.';
