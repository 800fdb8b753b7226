-- Plans the orderly reduction of positions, carried out by child orders from then on (oms.step_plans), and
-- sets its scope to reducing. Returns the plan's id.
-- p_strategy: whose positions; null for those of the account, whichever strategies hold them.
-- p_targets: "flat"; {"fraction": 0.5}, the part of every position that is to be left; or signed quantities
-- by symbol, such as {"IBM": 100}. A target lies between 0 and the position.
-- p_schedule: bucket_s, seconds per bucket, each with one child order per position at most; a cap per bucket:
-- participation, a share of what the market traded in the bucket before, and max_quantity, in units, the
-- lower of the two; limit_offset_bps, how far beyond the adverse quote the limit goes (5); deadline, after
-- which an alert is raised and the plan goes on.
-- Errors: TT001 something of no use, a target that does not reduce, or nothing to do; TT002 an unknown
-- session, account, strategy or symbol; TT004 the session is not open, or a position has such a plan already.
create or replace function risk.plan_reduction(
    p_session_id uuid,
    p_account text,
    p_strategy text,
    p_targets jsonb,
    p_schedule jsonb,
    p_reason text,
    p_as_of timestamptz
) returns bigint
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_strategy_id integer;
    v_status text;
    v_plan risk.reduction_plans;
    v_plan_id bigint;
    v_leg record;
begin
    perform ops._audit('risk.plan_reduction', p_session_id::text,
        jsonb_build_object('account', p_account, 'strategy', p_strategy, 'targets', p_targets,
            'schedule', p_schedule, 'as_of', p_as_of), p_reason);
    if p_as_of is null or coalesce(p_reason, '') = '' then
        raise exception 'a plan needs a reason and p_as_of, the session time' using errcode = 'TT001';
    end if;
    select s.status into v_status from ops.sessions s where s.session_id = p_session_id;
    select s.strategy_id into v_strategy_id from signal.strategies s where s.strategy = p_strategy;
    if v_status is null then
        raise exception 'session % does not exist', coalesce(p_session_id::text, 'null') using errcode = 'TT002';
    elsif not exists (select from ref.accounts a where a.account = p_account) then
        raise exception 'account "%" does not exist', coalesce(p_account, 'null') using errcode = 'TT002';
    elsif p_strategy is not null and v_strategy_id is null then
        raise exception 'strategy "%" does not exist', p_strategy using errcode = 'TT002';
    elsif v_status <> 'open' then
        raise exception 'session % is %', p_session_id, v_status using errcode = 'TT004';
    end if;
    v_plan := risk._read_schedule(p_schedule, p_as_of);
    for v_leg in select t.* from risk._read_targets(p_session_id, p_account, v_strategy_id, p_targets) t
        where t.target <> 0 and (sign(t.target) <> sign(t.quantity) or abs(t.target) > abs(t.quantity)) loop
        raise exception 'the target % of % is not between 0 and the position %',
            trim_scale(v_leg.target), v_leg.symbol, trim_scale(v_leg.quantity) using errcode = 'TT001';
    end loop;
    insert into risk.reduction_plans (session_id, account, strategy_id, targets, bucket, participation,
        max_quantity, limit_offset_bps, starts_at, deadline, reason)
    values (p_session_id, p_account, v_strategy_id, p_targets, v_plan.bucket, v_plan.participation,
        v_plan.max_quantity, v_plan.limit_offset_bps, p_as_of, v_plan.deadline, p_reason)
    returning plan_id into v_plan_id;
    insert into risk.reduction_legs (plan_id, leg, session_id, account, strategy_id, instrument_id,
        start_quantity, target_quantity)
    select v_plan_id, row_number() over (order by t.symbol), p_session_id, p_account, v_strategy_id,
        t.instrument_id, t.quantity, t.target
    from risk._read_targets(p_session_id, p_account, v_strategy_id, p_targets) t
    where t.target <> t.quantity;
    if not found then
        raise exception 'there is nothing to reduce: every position is at its target' using errcode = 'TT001';
    end if;
    perform risk._raise_plan_states(v_plan_id);
    return v_plan_id;
exception
    when unique_violation then
        raise exception 'a position of this plan has an open one already: see risk.reduction_plans'
            using errcode = 'TT004';
end
$$;
comment on function risk.plan_reduction(uuid, text, text, jsonb, jsonb, text, timestamptz) is
    'Plans an orderly reduction and sets its scope to reducing; returns its id. p_targets: "flat", {"fraction": what is to be left} or {symbol: signed quantity}. p_schedule: bucket_s, participation and/or max_quantity, limit_offset_bps (5), deadline. Errors: TT001 of no use or nothing to do, TT002 unknown name, TT004 the session is not open or a position is in such a plan already.';
grant execute on function risk.plan_reduction(uuid, text, text, jsonb, jsonb, text, timestamptz) to tsdb_risk;
