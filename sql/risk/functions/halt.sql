-- Stops new orders of a scope ({} stops everything); returns the halt's id, also when it was there.
-- Errors: TT001 a scope or reason of no use.
create or replace function risk.halt(p_scope jsonb, p_reason text)
returns bigint
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_halt_id bigint;
begin
    perform ops._audit('risk.halt', p_scope::text, '{}', p_reason);
    perform risk._check_scope(p_scope);
    if coalesce(p_reason, '') = '' then
        raise exception 'a halt needs a reason' using errcode = 'TT001';
    end if;
    insert into risk.halts (scope, reason) values (p_scope, p_reason)
    on conflict (scope) where resumed_at is null do nothing
    returning halt_id into v_halt_id;
    if v_halt_id is null then
        select halt_id into v_halt_id from risk.halts where scope = p_scope and resumed_at is null;
    end if;
    return v_halt_id;
end
$$;
comment on function risk.halt(jsonb, text) is 'Halts trading in a scope until risk.resume; checked in every order''s transaction.';
grant execute on function risk.halt(jsonb, text) to tsdb_risk, tsdb_worker_risk;
