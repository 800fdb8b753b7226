-- The strictest trading state in force for what a scope describes: its own and those of all wider scopes.
-- Errors: TT001 a scope of no use.
create or replace function risk.state_of(p_scope jsonb)
returns text
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    perform risk._check_scope(p_scope);
    return coalesce((select min(h.state) from risk.halts h where h.resumed_at is null and p_scope @> h.scope), 'active');
end
$$;
comment on function risk.state_of(jsonb) is
    'The strictest trading state that covers a scope: active, reducing or halted. Errors: TT001.';
grant execute on function risk.state_of(jsonb) to tsdb_reader;
