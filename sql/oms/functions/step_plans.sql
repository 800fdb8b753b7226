-- Carries out the reduction plans of a session at a session time: cancels child orders whose bucket is over,
-- submits those that are due, ends plans that are at their targets. A child order commits with the row of
-- its bucket, under the account's lock, so that whoever calls, and dies, there is one per bucket at most.
-- A bucket that was missed is not caught up. Returns the orders sent. Errors: TT001 no time; TT003 isolation level.
create or replace function oms.step_plans(p_session_id uuid, p_as_of timestamptz)
returns integer
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_plan_id bigint;
    v_sent integer := 0;
    v_problem text;
begin
    perform oms._require_read_committed();
    if p_as_of is null then
        raise exception 'plans need p_as_of, the session time' using errcode = 'TT001';
    end if;
    -- Plan by plan, accounts in the order all others lock them.
    for v_plan_id in
        select p.plan_id from risk.reduction_plans p
        where p.session_id = p_session_id and p.finished_at is null and p.starts_at <= p_as_of
        order by p.account, p.plan_id
    loop
        begin
            v_sent := v_sent + oms._step_plan(v_plan_id, p_as_of);
        exception
            -- A plan whose order cannot even be read must not stop the others, nor the worker.
            when sqlstate 'TT001' or sqlstate 'TT002' or sqlstate 'TT006' then
                v_problem := sqlerrm;
                update risk.reduction_plans set status = 'cancelling', note = v_problem where plan_id = v_plan_id;
                perform ops.raise_alert('plan_failed', 'critical', format('plan %s has failed', v_plan_id),
                    jsonb_build_object('plan_id', v_plan_id, 'error', v_problem));
        end;
    end loop;
    return v_sent;
end
$$;
comment on function oms.step_plans(uuid, timestamptz) is
    'Carries out the reduction plans of a session at a session time; returns the orders sent. Errors: TT001 no time, TT003 isolation level.';
grant execute on function oms.step_plans(uuid, timestamptz) to tsdb_worker_risk;
