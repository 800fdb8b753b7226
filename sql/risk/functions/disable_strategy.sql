-- Disables a strategy: its orders are denied until a named person enables it, whatever restarts meanwhile. A
-- control may do it, and a person. True: it was active. Errors: TT001 no reason; TT002 unknown strategy.
create or replace function risk.disable_strategy(p_strategy text, p_reason text)
returns boolean
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_strategy signal.strategies;
begin
    perform ops._audit('risk.disable_strategy', p_strategy::text,
        '{}', p_reason);
    perform risk._require_reason(p_reason, 'disabling a strategy');
    select * into v_strategy from signal.strategies s where s.strategy = p_strategy for no key update;
    if not found then
        raise exception 'strategy "%" does not exist', p_strategy using errcode = 'TT002';
    end if;
    if v_strategy.status = 'disabled' then
        return false;
    end if;
    update signal.strategies s set status = 'disabled' where s.strategy_id = v_strategy.strategy_id;
    insert into risk.strategy_audit (strategy_id, action, reason) values (v_strategy.strategy_id, 'disabled', p_reason);
    return true;
end
$$;
comment on function risk.disable_strategy(text, text) is
    'Disables a strategy until a named person enables it; false: it was. Errors: TT001 no reason, TT002 unknown strategy.';
grant execute on function risk.disable_strategy(text, text) to tsdb_worker_risk, tsdb_worker_signals, tsdb_risk;
