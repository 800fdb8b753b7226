-- Records a verdict as one packed row. p_passed: whether the order goes on, which another leg of its
-- basket can prevent. Returns the decision's id.
create or replace function risk._record_decision(
    p_order_id bigint,
    p_as_of timestamptz,
    p_verdict risk.verdict,
    p_passed boolean,
    p_action text,
    p_decided_at timestamptz
) returns bigint
language plpgsql
as $$
declare
    v_decision_id bigint;
begin
    insert into risk.decisions as d (decided_at, order_id, as_of, passed, controls, passes, reasons, observed,
        limit_values, action)
    values (p_decided_at, p_order_id, p_as_of, p_passed, p_verdict.controls, p_verdict.passes, p_verdict.reasons,
        p_verdict.observed, p_verdict.limit_values, p_action)
    returning d.decision_id into v_decision_id;
    return v_decision_id;
end
$$;
comment on function risk._record_decision(bigint, timestamptz, risk.verdict, boolean, text, timestamptz) is
    'Records a verdict on an order, its replace or its release.';
