-- Enables a disabled strategy. What its throttles counted before counts no more: signal.strategies.enabled_at. True:
-- it was disabled. Errors: TT001 no reason; TT002 unknown strategy; 42501 not a person.
create or replace function risk.enable_strategy(p_strategy text, p_reason text)
returns boolean
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    perform ops._audit('risk.enable_strategy', p_strategy, '{}', p_reason);
    perform risk._require_person('enabling a strategy');
    perform risk._require_reason(p_reason, 'enabling a strategy');
    return risk._change_strategy(p_strategy, 'active', p_reason);
end
$$;
comment on function risk.enable_strategy(text, text) is
    'Enables a disabled strategy; false: it was enabled. Only a named person. Errors: TT001 no reason, TT002 unknown strategy, 42501.';
grant execute on function risk.enable_strategy(text, text) to tsdb_risk;
