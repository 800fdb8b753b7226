-- Compiles one condition of a step, for each stream that the step is about, and adds it to the program.
-- Returns the program and bits: those of the condition, and unless: those of its contrary, where p_contrary
-- asks for it. A condition left out is true.
create or replace function signal._rule_conditions(
    p_text text,
    p_streams integer[],
    p_kind integer,
    p_contrary boolean,
    p_program jsonb
)
returns jsonb
language plpgsql
stable
as $$
declare
    v_stream integer;
    v_done jsonb;
    v_bit integer;
    v_bits bigint := 0;
    v_unless bigint := 0;
begin
    foreach v_stream in array p_streams loop
        v_done := signal._rule_condition(coalesce(p_text, '1 = 1'), v_stream, p_kind, p_program);
        p_program := v_done->'program';
        v_done := v_done->'condition';
        v_bit := (p_program->>'bits')::integer;
        v_bits := v_bits | (1::bigint << v_bit);
        if p_contrary then
            v_unless := v_unless | (1::bigint << (v_bit + 1));
        end if;
        p_program := p_program || jsonb_build_object(
            'bits', v_bit + 1 + p_contrary::integer,
            'uses', (p_program->'uses') || (v_done->'uses') || jsonb_build_array(jsonb_build_array(v_stream, p_kind)),
            'conditions', (p_program->'conditions') || jsonb_build_array(jsonb_build_object(
                'stream', v_stream, 'kind', p_kind, 'sql', v_done->'sql', 'terms', v_done->'terms', 'bit', v_bit,
                'unless', case when p_contrary then v_bit + 1 end)));
        if (p_program->>'bits')::integer > 60 then
            raise exception 'the rule has too many conditions: at most 60, a step on several symbols has one for each'
                using errcode = 'TT001';
        end if;
    end loop;
    return jsonb_build_object('program', p_program, 'bits', v_bits, 'unless', v_unless);
end
$$;
comment on function signal._rule_conditions(text, integer[], integer, boolean, jsonb) is
    'A condition of a rule''s step, compiled for each of its streams and added to the program.';
