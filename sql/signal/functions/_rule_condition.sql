-- Compiles a condition of a rule, such as "price > 1.01 * avg(price, 60s) and SPY.spread_bps < 2", to SQL over
-- the variables of the compiled rule (Dijkstra's shunting yard). Only what it knows can come out, so that no
-- text of a rule is ever run as SQL.
--
-- p_stream, p_kind: whose events the condition is about. Returns the program, with the windows and instruments
-- that the condition needs, and the operand: sql, uses and terms (its fields and aggregates, for the record of a match).
-- Errors: TT002 an unknown field, function or instrument, TT001 a condition that cannot be read.
create or replace function signal._rule_condition(p_text text, p_stream integer, p_kind integer, p_program jsonb)
returns jsonb
language plpgsql
stable
as $$
declare
    v_tokens text[];
    v_classes text[];
    v_values jsonb[] := '{}';
    v_signs text[] := '{}';
    -- For every open parenthesis: the function (or none) and how many operands stood before it.
    v_calls text[] := '{}';
    v_bases integer[] := '{}';
    v_done jsonb;
    v_token text;
    v_class text;
    v_rank integer;
    v_before text := 'operator';
    v_count integer;
begin
    select array_agg(t.token), array_agg(t.class) into v_tokens, v_classes
    from signal._rule_tokens(p_text) t;
    for i in 1..coalesce(cardinality(v_tokens), 0) + 1 loop
        v_token := coalesce(v_tokens[i], 'end');
        v_class := coalesce(v_classes[i], 'end');
        if v_class = 'name' and v_token in ('and', 'or', 'not') then
            v_class := 'sign';
        elsif v_class = 'name' and v_tokens[i + 1] = '(' then
            v_class := 'call';
        end if;
        if v_token = '-' and v_before = 'operator' then
            v_token := 'minus';
        end if;
        if (v_before = 'operator') <> (v_class not in ('sign', 'end') or v_token in ('(', 'not', 'minus'))
            -- A function without arguments.
            or v_class = 'call' and v_tokens[i + 2] = ')'
        then
            raise exception 'condition "%": % cannot stand there', p_text,
                case v_class when 'end' then 'its end' else '"' || v_token || '"' end using errcode = 'TT001';
        end if;
        if v_class = 'call' then
            continue;
        elsif v_token = '(' then
            v_calls := v_calls || case when i > 1 and v_classes[i - 1] = 'name' and v_tokens[i - 1] not in ('and', 'or', 'not')
                then v_tokens[i - 1] else '' end;
            v_bases := v_bases || cardinality(v_values);
            v_signs := v_signs || '('::text;
            continue;
        elsif v_class not in ('sign', 'end') then
            v_done := signal._rule_operand(v_token, v_class, p_stream, p_program);
            p_program := v_done->'program';
            v_values := v_values || (v_done->'operand');
            v_before := 'operand';
            continue;
        end if;

        -- An operator, a comma, a closing parenthesis or the end: apply what binds stronger and stands before.
        v_rank := signal._rule_rank(v_token);
        while v_token not in ('not', 'minus') and cardinality(v_signs) > 0 and v_signs[cardinality(v_signs)] <> '('
            and signal._rule_rank(v_signs[cardinality(v_signs)]) >= v_rank
        loop
            v_count := case when v_signs[cardinality(v_signs)] in ('not', 'minus') then 1 else 2 end;
            v_done := signal._rule_call(v_signs[cardinality(v_signs)],
                v_values[cardinality(v_values) - v_count + 1:], p_kind, p_program);
            v_values := v_values[:cardinality(v_values) - v_count] || (v_done->'operand');
            v_signs := trim_array(v_signs, 1);
        end loop;
        if v_token in (')', ',') and (cardinality(v_calls) = 0
            or v_token = ',' and v_calls[cardinality(v_calls)] = '') or v_class = 'end' and cardinality(v_calls) > 0
        then
            raise exception 'condition "%": %', p_text, case v_token when 'end' then 'a ")" is missing'
                else 'there is a "' || v_token || '" too many' end using errcode = 'TT001';
        elsif v_token = ')' then
            v_count := v_bases[cardinality(v_bases)];
            if v_calls[cardinality(v_calls)] <> '' then
                v_done := signal._rule_call(v_calls[cardinality(v_calls)], v_values[v_count + 1:], p_kind, p_program);
                p_program := v_done->'program';
                v_values := v_values[:v_count] || (v_done->'operand');
            end if;
            v_calls := trim_array(v_calls, 1);
            v_bases := trim_array(v_bases, 1);
            v_signs := trim_array(v_signs, 1);
            v_before := 'operand';
        elsif v_class <> 'end' then
            if v_token <> ',' then
                v_signs := v_signs || v_token;
            end if;
            v_before := 'operator';
        end if;
    end loop;
    v_done := v_values[1];
    if v_done->>'type' <> 'condition' then
        raise exception 'condition "%" is no condition: compare it with something', p_text using errcode = 'TT001';
    end if;
    return jsonb_build_object('program', p_program, 'condition', v_done);
end
$$;
comment on function signal._rule_condition(text, integer, integer, jsonb) is
    'A condition of a rule as SQL over the variables of the compiled rule.';
