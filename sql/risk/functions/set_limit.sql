-- Sets a limit for a scope, superseding the one in force; a null value withdraws it, after which
-- orders that need it are denied unless a wider scope has one. Returns the new row's id.
-- Errors: TT001 a scope, value or reason of no use; TT002 unknown control.
create or replace function risk.set_limit(p_control text, p_scope jsonb, p_value numeric, p_reason text)
returns bigint
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_limit_id bigint;
begin
    perform ops._audit('risk.set_limit', p_scope::text,
        jsonb_build_object('control', p_control, 'value', p_value), p_reason);
    perform risk._check_scope(p_scope);
    if not exists (select from risk.controls where control = p_control and needs_limit) then
        raise exception 'control "%" has no limit: use one of %', p_control,
            (select string_agg(control, ', ' order by control) from risk.controls where needs_limit)
            using errcode = 'TT002';
    end if;
    if p_value is not null and not (p_value >= 0 and p_value < 'infinity') then
        raise exception 'limit % is not a number of at least 0', p_value using errcode = 'TT001';
    end if;
    if coalesce(p_reason, '') = '' then
        raise exception 'a limit needs a reason' using errcode = 'TT001';
    end if;
    update risk.limits set superseded_at = clock_timestamp()
    where control = p_control and scope = p_scope and superseded_at = 'infinity';
    if p_value is not null then
        insert into risk.limits (control, scope, value, reason)
        values (p_control, p_scope, p_value, p_reason)
        returning limit_id into v_limit_id;
    end if;
    return v_limit_id;
end
$$;
comment on function risk.set_limit(text, jsonb, numeric, text) is
    'Sets (or, with null, withdraws) the limit of a control for a scope: {} or any of session_id, account, strategy, symbol, venue. Units: risk.controls.';
grant execute on function risk.set_limit(text, jsonb, numeric, text) to tsdb_risk;
