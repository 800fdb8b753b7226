-- Ends the halt, or the reducing state, of exactly this scope; false when there was none.
-- Errors: as risk.set_state.
create or replace function risk.resume(p_scope jsonb, p_reason text)
returns boolean
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    return risk.set_state(p_scope, 'active', p_reason) is not null;
end
$$;
comment on function risk.resume(jsonb, text) is 'Lifts the halt of a scope; other halts that cover an order still stop it.';
grant execute on function risk.resume(jsonb, text) to tsdb_risk;
