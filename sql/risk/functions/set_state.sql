-- Sets the trading state of a scope: active, reducing (only orders that reduce risk) or halted. Of all states
-- that cover an order the strictest counts, so a scope is never more active than a wider one. Returns the id
-- of the row in risk.halts: the new one's, that of the state that is in force already, or, for active, that of
-- the one it ends (null: there was none). A process may make a state stricter and lift a reducing state of its
-- own; all else that makes it less strict takes a named person.
-- What the scope of a state names has to exist: a halt of a misspelt account stops nobody. One of a name that has
-- changed since can still be ended.
-- Errors: TT001 a scope, state or reason of no use; TT002 unknown name; TT003 isolation level; 42501 not a person.
create or replace function risk.set_state(p_scope jsonb, p_state text, p_reason text)
returns bigint
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_old risk.halts;
    v_now timestamptz;
    v_halt_id bigint;
begin
    perform ops._audit('risk.set_state', p_scope::text, jsonb_build_object('state', p_state), p_reason);
    perform risk._check_scope(p_scope);
    if p_state is null or p_state not in ('active', 'reducing', 'halted') then
        raise exception 'state "%" is none of active, reducing, halted', p_state using errcode = 'TT001';
    end if;
    if p_state <> 'active' then
        perform risk._check_names(p_scope);
    end if;
    perform risk._require_reason(p_reason, 'a trading state');
    perform risk._lock_setting('state ' || p_scope::text);
    v_now := clock_timestamp();
    select * into v_old from risk.halts h where h.scope = p_scope and h.resumed_at is null;
    if v_old.state = p_state or v_old.state is null and p_state = 'active' then
        return v_old.halt_id;
    end if;
    if v_old.state = 'halted' or p_state = 'active' and v_old.halted_by <> session_user then
        perform risk._require_person('making a trading state less strict');
    end if;
    update risk.halts h set resumed_at = v_now, resumed_by = session_user, resume_reason = p_reason
    where h.halt_id = v_old.halt_id;
    if p_state = 'active' then
        return v_old.halt_id;
    end if;
    insert into risk.halts (scope, state, reason, halted_at) values (p_scope, p_state, p_reason, v_now)
    returning halt_id into v_halt_id;
    return v_halt_id;
end
$$;
comment on function risk.set_state(jsonb, text, text) is
    'Sets the trading state of a scope: active, reducing or halted; the strictest that covers an order counts. Only a named person makes it less strict. Errors: TT001, TT002, TT003, 42501.';
grant execute on function risk.set_state(jsonb, text, text) to tsdb_risk, tsdb_worker_risk;
