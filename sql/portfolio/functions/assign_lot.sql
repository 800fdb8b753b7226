-- Says which lot an execution closes, for the method specific: p_quantity of it, in units of the closing's
-- day, close what p_opening_execution_id opened. Said again for the same pair it replaces the former
-- quantity; 0 takes it back. What no assignment names is closed first in, first out.
-- Errors: TT001 a quantity, or a reason left out; TT002 unknown execution; TT004 they cannot be matched:
-- another position, the same side, busted, not open then, or more than there is left.
create or replace function portfolio.assign_lot(
    p_execution_id bigint, p_opening_execution_id bigint, p_quantity numeric, p_reason text
)
returns bigint
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_closing oms.executions;
    v_opening oms.executions;
    v_assignment_id bigint;
    v_unmet record;
begin
    perform ops._audit('portfolio.assign_lot', p_execution_id::text,
        jsonb_build_object('opening_execution_id', p_opening_execution_id, 'quantity', p_quantity), p_reason);
    if (p_quantity >= 0 and p_quantity < 'infinity') is not true or coalesce(p_reason, '') = '' then
        raise exception 'an assignment needs a quantity, not %, and a reason', coalesce(p_quantity::text, 'null')
            using errcode = 'TT001';
    end if;
    select e.* into v_closing from oms.executions e
    where e.execution_id = p_execution_id and e.kind = 'fill';
    select e.* into v_opening from oms.executions e
    where e.execution_id = p_opening_execution_id and e.kind = 'fill';
    if v_closing.execution_id is null or v_opening.execution_id is null then
        raise exception 'execution % is no fill', coalesce(case when v_closing.execution_id is null
            then p_execution_id else p_opening_execution_id end::text, 'null') using errcode = 'TT002';
    end if;
    if (v_closing.session_id, v_closing.account, v_closing.strategy_id)
        <> (v_opening.session_id, v_opening.account, v_opening.strategy_id) then
        raise exception 'executions % and % are of different positions', p_execution_id, p_opening_execution_id
            using errcode = 'TT004';
    end if;
    perform oms._lock_account(v_closing.session_id, v_closing.account);
    insert into portfolio.lot_assignments (execution_id, opening_execution_id, quantity, reason)
    values (p_execution_id, p_opening_execution_id, p_quantity, p_reason)
    returning assignment_id into v_assignment_id;
    -- Tried out: every assignment of the position has to be met, this one and those before.
    select a.execution_id, a.opening_execution_id, a.quantity, coalesce(abs(m.quantity), 0) as met into v_unmet
    from (
        select distinct on (t.execution_id, t.opening_execution_id) t.*
        from portfolio.lot_assignments t
        join oms.executions x on x.execution_id = t.execution_id
        where x.session_id = v_closing.session_id and x.account = v_closing.account
            and x.strategy_id = v_closing.strategy_id and x.instrument_id = v_closing.instrument_id
        order by t.execution_id, t.opening_execution_id, t.assignment_id desc) a
    left join (
        select f.execution_id, f.opening_execution_id, sum(f.quantity) as quantity
        from portfolio._events(v_closing.session_id, 'infinity', 'infinity', 'infinity', 'specific',
            v_closing.account, v_closing.strategy_id, v_closing.instrument_id) e
        cross join lateral portfolio._fold(e.events, 'specific', true) f
        where f.line = 'closed'
        group by f.execution_id, f.opening_execution_id) m using (execution_id, opening_execution_id)
    where coalesce(abs(m.quantity), 0) < a.quantity
    order by a.assignment_id desc limit 1;
    if found then
        raise exception 'execution % can close % of what execution % opened, not %', v_unmet.execution_id,
            v_unmet.met, v_unmet.opening_execution_id, v_unmet.quantity using errcode = 'TT004';
    end if;
    return v_assignment_id;
end
$$;
comment on function portfolio.assign_lot(bigint, bigint, numeric, text) is
    'Says which lot an execution closes, for the method specific; returns the id of the assignment.';
grant execute on function portfolio.assign_lot(bigint, bigint, numeric, text) to tsdb_ops;
