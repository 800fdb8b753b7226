-- Refuses a scope that could never match, or would match by mistake. Errors: TT001.
create or replace function risk._check_scope(p_scope jsonb)
returns void
language plpgsql
immutable
as $$
declare
    v_key text;
begin
    if p_scope is null or jsonb_typeof(p_scope) <> 'object' then
        raise exception 'a scope is a JSON object such as {} or {"symbol": "IBM"}' using errcode = 'TT001';
    end if;
    for v_key in select k from jsonb_object_keys(p_scope) k
        where k not in ('session_id', 'account', 'strategy', 'symbol', 'venue', 'sector')
            or jsonb_typeof(p_scope->k) <> 'string' or p_scope->>k = '' loop
        raise exception 'scope key "%" must be one of session_id, account, strategy, symbol, venue, sector, with a text value', v_key
            using errcode = 'TT001';
    end loop;
    if p_scope ? 'session_id'
        and p_scope->>'session_id' !~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' then
        raise exception 'scope key "session_id" is a UUID in lower case, not "%"', p_scope->>'session_id'
            using errcode = 'TT001';
    end if;
end
$$;
comment on function risk._check_scope(jsonb) is 'Refuses unusable scopes.';
