-- The names of a strategy's parameters, in order: fields of a composite type, or of a Python class.
create or replace function signal._parameter_names(p_strategy signal.strategies)
returns text[]
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
    select case when p_strategy.parameter_fields is null then array(
            select a.attname::text
            from pg_type t
            join pg_type b on b.oid = coalesce(nullif(t.typbasetype, 0), t.oid)
            join pg_attribute a on a.attrelid = b.typrelid and a.attnum > 0 and not a.attisdropped
            where t.oid = to_regtype(p_strategy.parameters_type)
            order by a.attnum)
        else array(
            select f.field->>'name'
            from jsonb_array_elements(p_strategy.parameter_fields) with ordinality f (field, place)
            order by f.place)
        end
$$;
comment on function signal._parameter_names(signal.strategies) is 'The names of a strategy''s parameters, in order.';
