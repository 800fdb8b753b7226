-- Sets what a plan reduces to reducing: its account or strategy, or only its symbols if its targets name some.
create or replace function risk._raise_plan_states(p_plan_id bigint)
returns void
language plpgsql
as $$
begin
    perform risk._raise_state(s.scope, 'reducing', 'reduction plan ' || p_plan_id)
    from (
        select distinct jsonb_strip_nulls(jsonb_build_object('session_id', p.session_id, 'account', p.account,
            'strategy', t.strategy, 'symbol', case when jsonb_typeof(p.targets) = 'object'
                and not p.targets ? 'fraction' then i.symbol end)) as scope
        from risk.reduction_plans p
        join risk.reduction_legs l using (plan_id)
        join ref.instruments i using (instrument_id)
        left join signal.strategies t on t.strategy_id = p.strategy_id
        where p.plan_id = p_plan_id and l.finished_as_of is null) s;
end
$$;
comment on function risk._raise_plan_states(bigint) is 'Sets the scope of a plan to reducing.';
