-- Reads the parameters of an instance as its step will, and returns them with every field: none
-- missing (null is a value), none unknown, each of its type and within the checks of its domain.
-- Errors: TT001, which names the wrong one.
create or replace function signal._check_parameters(p_strategy signal.strategies, p_parameters jsonb)
returns jsonb
language plpgsql
stable
set search_path = pg_catalog, pg_temp
set extra_float_digits = 1
set timezone = 'UTC'
set intervalstyle = 'postgres'
as $$
declare
    v_read jsonb;
    v_fields text[];
    v_key text;
    v_constraint text;
    v_error text;
begin
    if jsonb_typeof(p_parameters) is distinct from 'object' then
        raise exception 'parameters must be a JSON object' using errcode = 'TT001';
    end if;
    v_fields := signal._parameter_names(p_strategy);
    select coalesce(u.key, f.key) into v_key
    from unnest(v_fields) f (key) full join jsonb_object_keys(p_parameters) u (key) using (key)
    where f.key is null or u.key is null order by 1 limit 1;
    if v_key is not null then
        raise exception 'parameter "%" is %: give each of % once, null for none', v_key,
            case when v_key = any (v_fields) then 'missing' else 'unknown' end,
            array_to_string(v_fields, ', ') using errcode = 'TT001';
    end if;
    if p_strategy.python_class is not null then
        v_error := signal._judge_python_parameters(p_strategy, p_parameters);
        if v_error is not null then
            raise exception '%', v_error using errcode = 'TT001';
        end if;
        return p_parameters;
    end if;
    begin
        execute format('select to_jsonb(jsonb_populate_record(null::%s, $1))', p_strategy.parameters_type)
        into v_read using p_parameters;
    exception when data_exception or integrity_constraint_violation then
        get stacked diagnostics v_constraint = constraint_name, v_error = message_text;
        raise exception 'parameters of "%" are out of range: %', p_strategy.strategy,
            coalesce(nullif(replace(v_constraint, '_', ' '), ''), v_error) using errcode = 'TT001';
    end;
    -- A record of nulls passes for no record at all, which a domain's checks must let through.
    if jsonb_strip_nulls(v_read) = '{}' then
        raise exception 'parameters of "%" are all null', p_strategy.strategy using errcode = 'TT001';
    end if;
    return v_read;
end
$$;
comment on function signal._check_parameters(signal.strategies, jsonb) is
    'Parameters of an instance as its step reads them; TT001 names the wrong one.';
