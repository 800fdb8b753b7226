-- Disables a strategy: its orders are denied until a named person enables it, whatever restarts meanwhile. A
-- control may do it, and a person. True: it was active. Errors: TT001 no reason; TT002 unknown strategy.
create or replace function risk.disable_strategy(p_strategy text, p_reason text)
returns boolean
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    perform ops._audit('risk.disable_strategy', p_strategy, '{}', p_reason);
    perform risk._require_reason(p_reason, 'disabling a strategy');
    return risk._change_strategy(p_strategy, 'disabled', p_reason);
end
$$;
comment on function risk.disable_strategy(text, text) is
    'Disables a strategy until a named person enables it; false: it was. Errors: TT001 no reason, TT002 unknown strategy.';
grant execute on function risk.disable_strategy(text, text) to tsdb_worker_risk, tsdb_worker_signals, tsdb_risk;
