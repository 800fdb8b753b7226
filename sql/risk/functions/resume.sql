-- Ends the halt of exactly this scope; false when there was none.
-- Errors: TT001 a scope or reason of no use.
create or replace function risk.resume(p_scope jsonb, p_reason text)
returns boolean
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    perform ops._audit('risk.resume', p_scope::text, '{}', p_reason);
    perform risk._check_scope(p_scope);
    if coalesce(p_reason, '') = '' then
        raise exception 'a resumption needs a reason' using errcode = 'TT001';
    end if;
    update risk.halts
    set resumed_at = clock_timestamp(), resumed_by = session_user, resume_reason = p_reason
    where scope = p_scope and resumed_at is null;
    return found;
end
$$;
comment on function risk.resume(jsonb, text) is 'Lifts the halt of a scope; other halts that cover an order still stop it.';
grant execute on function risk.resume(jsonb, text) to tsdb_risk;
