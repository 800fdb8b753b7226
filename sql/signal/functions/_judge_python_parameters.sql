-- Why JSON will not do as the parameters of a Python strategy, each being there; null if it will. The
-- ranges are the class's own: it checks them when an instance is saved through it, and before a step.
create or replace function signal._judge_python_parameters(p_strategy signal.strategies, p_parameters jsonb)
returns text
language sql
immutable
set search_path = pg_catalog, pg_temp
as $$
    select format('parameter "%s" must be %s, not %s', f.name,
        case when f.kind = 'integer' then 'an integer' else 'of kind ' || f.kind end
            || case when f.nullable then ' or null' else '' end,
        p_parameters->f.name)
    from jsonb_to_recordset(p_strategy.parameter_fields) f (name text, kind text, nullable boolean)
    cross join lateral (select p_parameters->f.name as value) v
    where case jsonb_typeof(v.value)
        when 'null' then not f.nullable
        when 'number' then f.kind not in ('number', 'integer')
            or f.kind = 'integer' and (v.value::numeric % 1) <> 0
        else jsonb_typeof(v.value) <> f.kind end
    order by f.name
    limit 1
$$;
comment on function signal._judge_python_parameters(signal.strategies, jsonb) is
    'Why JSON will not do as the parameters of a Python strategy; null if it will.';
