-- Stops new orders of a scope ({} stops everything); returns the halt's id, also when it was there.
-- What works at venues stays there: see oms.kill. Errors: as risk.set_state.
create or replace function risk.halt(p_scope jsonb, p_reason text)
returns bigint
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    return risk.set_state(p_scope, 'halted', p_reason);
end
$$;
comment on function risk.halt(jsonb, text) is 'Halts trading in a scope until risk.resume; checked in every order''s transaction.';
grant execute on function risk.halt(jsonb, text) to tsdb_risk, tsdb_worker_risk;
