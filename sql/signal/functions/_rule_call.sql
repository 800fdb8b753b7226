-- A function or operator of a rule's condition applied to its operands; returns the result and the program.
-- TT001 where the operands do not fit: numbers are compared, conditions are combined, never the other way.
create or replace function signal._rule_call(p_name text, p_arguments jsonb[], p_kind integer, p_program jsonb)
returns jsonb
language plpgsql
immutable
as $$
declare
    v_types text[] := array(select a->>'type' from unnest(p_arguments) a);
    v_sqls text[] := array(select a->>'sql' from unnest(p_arguments) a);
    v_srcs text[] := array(select a->>'src' from unnest(p_arguments) a);
    v_count integer := cardinality(p_arguments);
    v_wanted text;
    v_type text := 'number';
    v_sql text;
begin
    if p_name in ('count', 'rate', 'sum', 'avg', 'min', 'max', 'first', 'last', 'change', 'change_bps', 'stddev', 'prev') then
        return signal._rule_window(p_name, p_arguments, p_program);
    elsif p_name = 'mentions' then
        if p_kind <> 3 or v_types <> '{text}' or p_arguments[1]->>'value' !~ '^[A-Za-z0-9][A-Za-z0-9 &-]{0,60}$' then
            raise exception 'mentions(''word'') takes letters, digits, spaces, & and -, in a step on news' using errcode = 'TT001';
        end if;
        v_type := 'condition';
        v_sql := format('e.headline ~* %L', '\m' || (p_arguments[1]->>'value') || '\M');
    elsif p_name in ('and', 'or', 'not') then
        v_wanted := 'condition';
        v_type := 'condition';
        v_sql := case p_name when 'not' then format('(not %s)', v_sqls[1])
            else format('(%s %s %s)', v_sqls[1], p_name, v_sqls[2]) end;
    else
        v_wanted := 'number';
        v_sql := case
            when p_name = 'minus' then format('(- %s)', v_sqls[1])
            when p_name in ('abs', 'ln', 'exp', 'sqrt', 'sign') and v_count = 1 then format('%s(%s)', p_name, v_sqls[1])
            when p_name in ('least', 'greatest') and v_count >= 2 then format('%s(%s)', p_name, array_to_string(v_sqls, ', '))
            when p_name ~ '^[^a-z]' then format('(%s %s %s)', v_sqls[1], p_name, v_sqls[2]) end;
        if p_name ~ '^[<>=!]' then
            v_type := 'condition';
        end if;
        if v_sql is null then
            perform signal._check_word('function', p_name, array['count', 'rate', 'sum', 'avg', 'min', 'max', 'first',
                'last', 'change', 'change_bps', 'stddev', 'prev', 'mentions', 'abs', 'ln', 'exp', 'sqrt', 'sign', 'least',
                'greatest']);
            raise exception '% does not take % arguments', p_name, v_count using errcode = 'TT001';
        end if;
    end if;
    if p_name = 'minus' and v_types = '{duration}' then
        raise exception '"-%": a duration must be above zero', v_srcs[1] using errcode = 'TT001';
    elsif exists (select from unnest(v_types) t where t <> coalesce(v_wanted, t)) then
        raise exception '%: "%" is over %s',
            case p_name when 'minus' then '-' || v_srcs[1] else array_to_string(v_srcs, ' ' || p_name || ' ') end,
            case p_name when 'minus' then '-' else p_name end, v_wanted using errcode = 'TT001';
    end if;
    return jsonb_build_object('program', p_program, 'operand', jsonb_build_object(
        'type', v_type, 'sql', v_sql,
        'src', case when p_name ~ '^[a-z]' and p_name not in ('and', 'or', 'not', 'minus')
            then format('%s(%s)', p_name, array_to_string(v_srcs, ', '))
            when p_name = 'not' then 'not ' || v_srcs[1]
            when p_name = 'minus' then '-' || v_srcs[1]
            else format('(%s %s %s)', v_srcs[1], p_name, v_srcs[2]) end,
        'uses', coalesce((select jsonb_agg(distinct u) from unnest(p_arguments) a, jsonb_array_elements(a->'uses') u), '[]'),
        'terms', coalesce((select jsonb_object_agg(t.key, t.value) from unnest(p_arguments) a, jsonb_each(a->'terms') t), '{}'),
        'has_window', exists (select from unnest(p_arguments) a where (a->>'has_window')::boolean)));
end
$$;
comment on function signal._rule_call(text, jsonb[], integer, jsonb) is
    'A function or operator of a rule''s condition applied to its operands.';
