-- Compiles a rule's definition: what signal.rules keeps of it, and its code. docs/rules.md describes the
-- definition. Errors: TT001 a definition that cannot be, TT002 an unknown key, kind, field, function or
-- instrument, with the closest one there is.
create or replace function signal._compile_rule(p_definition jsonb)
returns jsonb
language plpgsql
stable
as $$
declare
    v_program jsonb := '{"named": [], "windows": [], "conditions": [], "uses": [], "bits": 0, "is_keyed": false}';
    v_steps jsonb := '[]';
    v_done jsonb;
    v_without jsonb;
    v_hours double precision[];
    v_ids integer[];
    v_zone text := coalesce(p_definition->>'timezone', 'America/New_York');
    v_within double precision := case when p_definition ? 'within' then signal._rule_duration('within', p_definition->>'within') end;
begin
    perform signal._check_keys('a rule', p_definition,
        '{instruments,pattern,without,within,cooldown,hours,timezone}');
    if jsonb_typeof(p_definition->'pattern') is distinct from 'array'
        or jsonb_array_length(p_definition->'pattern') not between 1 and 8
    then
        raise exception 'a rule needs "pattern": a list of one to eight steps' using errcode = 'TT001';
    elsif jsonb_array_length(p_definition->'pattern') = 1 and p_definition ?| '{within,without}' then
        raise exception '"within" and "without" need a pattern of two steps or more' using errcode = 'TT001';
    elsif p_definition ? 'timezone' and jsonb_typeof(p_definition->'timezone') <> 'string' then
        raise exception '"timezone" must be a name such as America/New_York' using errcode = 'TT001';
    elsif not exists (select from pg_timezone_names z where z.name = v_zone) then
        raise exception 'unknown timezone "%"', v_zone using errcode = 'TT002';
    end if;
    if p_definition ? 'hours' then
        v_hours := signal._rule_clock('hours', p_definition->>'hours');
    end if;
    v_program := v_program || jsonb_build_object('timezone', v_zone, 'hours', to_jsonb(v_hours));
    for i in 1..jsonb_array_length(p_definition->'pattern') loop
        v_done := signal._rule_step(p_definition->'pattern'->(i - 1), i, v_program);
        v_program := v_done->'program';
        v_steps := v_steps || jsonb_build_array(v_done->'step');
        -- What holds may have begun before the first step, and the first step happens at the end of its time.
        if i > 1 and v_done->'step'->>'kind' = 'absent' and (v_done->'step'->>'for_us')::float8 > v_within then
            raise exception 'step %: "for" is longer than "within": the rule could never match', i using errcode = 'TT001';
        end if;
    end loop;
    if p_definition ? 'without' then
        v_without := signal._rule_step(p_definition->'without', null, v_program);
        v_program := v_without->'program';
    end if;

    -- Fields of an instrument without a name make it a rule of every instrument as well.
    if v_program->'uses' @> '[[0]]' then
        v_program := v_program || '{"is_keyed": true}';
    end if;
    if p_definition ? 'instruments' then
        if jsonb_typeof(p_definition->'instruments') <> 'array' or jsonb_array_length(p_definition->'instruments') = 0 then
            raise exception '"instruments" must be a list of symbols' using errcode = 'TT001';
        elsif not (v_program->>'is_keyed')::boolean then
            raise exception '"instruments" has no use: every step names its own symbols' using errcode = 'TT001';
        end if;
        select array_agg(distinct signal._rule_instrument(s)) into v_ids
        from jsonb_array_elements_text(p_definition->'instruments') s;
    elsif (v_program->>'is_keyed')::boolean and v_program->'named' <> '[]' then
        raise exception 'a rule that compares with a named instrument needs "instruments": those to evaluate it for'
            using errcode = 'TT001';
    end if;
    return v_program || jsonb_build_object(
        'instrument_ids', v_ids,
        'kinds', (select jsonb_agg(distinct u->1) from jsonb_array_elements(v_program->'uses') u),
        'code', signal._rule_code(v_program),
        'plan', jsonb_build_object(
            'steps', v_steps, 'without', v_without->'bits', 'within_us', v_within,
            'cooldown_us', case when p_definition ? 'cooldown' then signal._rule_duration('cooldown', p_definition->>'cooldown') end,
            'from_s', v_hours[1], 'to_s', v_hours[2], 'timezone', v_zone));
end
$$;
comment on function signal._compile_rule(jsonb) is 'A rule''s definition, compiled: what it needs, its plan and its code.';
