-- The verdict that an order goes by: every control (risk._evaluate), and where only soft ones refuse it, the
-- authorisation that it names. p_now: wall time, by which authorisations expire. What an authorisation allowed has
-- passed with a reason, which nothing else has. The caller holds the account's lock.
create or replace function risk._decide(
    p_order risk.order_request,
    p_as_of timestamptz,
    p_ahead risk.order_request[],
    p_current oms.orders,
    p_now timestamptz
)
returns risk.verdict
language plpgsql
as $$
declare
    v_verdict risk.verdict := risk._evaluate(p_order, p_as_of, p_ahead, p_current);
    v_failed text[];
    v_authorisation record;
begin
    if v_verdict.passed or p_order.authorisation_id is null then
        return v_verdict;
    end if;
    v_failed := array(select u.c from unnest(v_verdict.controls, v_verdict.passes) as u (c, p) where not u.p);
    v_authorisation := risk._authorisation_for(p_order, v_failed, p_now, p_current.order_id);
    select array_agg(case when u.p then u.r else u.r || ' (' || coalesce(v_authorisation.problem,
        'authorisation ' || v_authorisation.authorisation_id || ' allows it') || ')' end order by u.n)
    into v_verdict.reasons
    from unnest(v_verdict.passes, v_verdict.reasons) with ordinality as u (p, r, n);
    if v_authorisation.problem is null then
        v_verdict.passed := true;
        v_verdict.passes := array_fill(true, array[cardinality(v_verdict.controls)]);
    end if;
    return v_verdict;
end
$$;
comment on function risk._decide(risk.order_request, timestamptz, risk.order_request[], oms.orders, timestamptz) is
    'Every control on an order, and the authorisation it names.';
