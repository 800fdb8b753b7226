-- Enables a disabled strategy. What its throttles counted before counts no more: signal.strategies.enabled_at. True:
-- it was disabled. Errors: TT001 no reason; TT002 unknown strategy; 42501 not a person.
create or replace function risk.enable_strategy(p_strategy text, p_reason text)
returns boolean
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_strategy signal.strategies;
begin
    perform ops._audit('risk.enable_strategy', p_strategy::text,
        '{}', p_reason);
    perform risk._require_person('enabling a strategy');
    perform risk._require_reason(p_reason, 'enabling a strategy');
    select * into v_strategy from signal.strategies s where s.strategy = p_strategy for no key update;
    if not found then
        raise exception 'strategy "%" does not exist', p_strategy using errcode = 'TT002';
    end if;
    if v_strategy.status = 'active' then
        return false;
    end if;
    update signal.strategies s set status = 'active', enabled_at = clock_timestamp()
    where s.strategy_id = v_strategy.strategy_id;
    insert into risk.strategy_audit (strategy_id, action, reason) values (v_strategy.strategy_id, 'enabled', p_reason);
    return true;
end
$$;
comment on function risk.enable_strategy(text, text) is
    'Enables a disabled strategy; false: it was enabled. Only a named person. Errors: TT001 no reason, TT002 unknown strategy, 42501.';
grant execute on function risk.enable_strategy(text, text) to tsdb_risk;
