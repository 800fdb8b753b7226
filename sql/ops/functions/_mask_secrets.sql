-- A JSON value without the values whose name has password, secret, token or key in it, at any depth.
-- {"env": "NAME"}, which names a variable that holds a secret, is none and stays.
create or replace function ops._mask_secrets(p_value jsonb)
returns jsonb
language plpgsql
immutable
as $$
begin
    if p_value::text !~* 'password|secret|token|key' then
        return p_value;
    end if;
    return case jsonb_typeof(p_value)
        when 'object' then (
            select jsonb_object_agg(m.key, case
                when m.key ~* 'password|secret|token|key'
                    and not (jsonb_typeof(m.value) = 'object' and m.value ? 'env')
                    then '"***"'
                else ops._mask_secrets(m.value) end)
            from jsonb_each(p_value) m)
        when 'array' then (
            select jsonb_agg(ops._mask_secrets(e.value) order by e.ordinality)
            from jsonb_array_elements(p_value) with ordinality e)
        else p_value end;
end
$$;
comment on function ops._mask_secrets(jsonb) is 'A JSON value with *** for what its name says is secret.';
