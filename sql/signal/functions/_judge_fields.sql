-- Why a list of fields of a Python class will not do; null if it will. See signal.register_python_strategy.
create or replace function signal._judge_fields(p_what text, p_fields jsonb)
returns text
language sql
immutable
set search_path = pg_catalog, pg_temp
as $$
    select case
        when jsonb_typeof(p_fields) is distinct from 'array' then format('the %s must be a list of fields', p_what)
        when p_what = 'parameters' and jsonb_array_length(p_fields) = 0 then 'a strategy needs a parameter'
        when exists (
            select from jsonb_array_elements(p_fields) f (field)
            where (f.field->>'name' ~ '^[a-z_][A-Za-z0-9_]*$'
                and f.field->>'kind' in ('number', 'integer', 'string', 'boolean', 'array', 'object')
                and jsonb_typeof(f.field->'nullable') = 'boolean') is not true)
            then format('a field of the %s is not one: %s', p_what, p_fields)
    end
$$;
comment on function signal._judge_fields(text, jsonb) is 'Why a list of fields of a Python class will not do; null if it will.';
