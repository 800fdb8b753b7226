-- Compiles one step of a rule's pattern, or what it goes without (p_no null); returns the program, step and
-- bits. Errors: TT001 and TT002 as of signal.save_rule.
create or replace function signal._rule_step(p_step jsonb, p_no integer, p_program jsonb)
returns jsonb
language plpgsql
stable
as $$
declare
    v_what text := coalesce('step ' || p_no, 'without');
    v_kinds constant text[] := '{quote,trade,news}';
    v_kind integer;
    v_symbols text[];
    v_streams integer[] := '{}';
    v_done jsonb;
    v_ends jsonb;
    v_symbol text;
begin
    perform signal._check_keys(v_what, p_step, case when p_no is null
        then array['on', 'when', 'symbol', 'symbols']
        else array['on', 'absent', 'when', 'until', 'for', 'symbol', 'symbols', 'every'] end);
    if num_nonnulls(p_step->>'on', p_step->>'absent') <> 1 then
        raise exception '% needs "on" or "absent": quote, trade or news', v_what using errcode = 'TT001';
    elsif jsonb_typeof(p_step->'when') <> 'string' or jsonb_typeof(p_step->'until') <> 'string' then
        raise exception '%: a condition is a text', v_what using errcode = 'TT001';
    end if;
    perform signal._check_word('kind of event', coalesce(p_step->>'on', p_step->>'absent'), v_kinds);
    v_kind := array_position(v_kinds, coalesce(p_step->>'on', p_step->>'absent'));

    if p_step ? 'symbols' and (jsonb_typeof(p_step->'symbols') <> 'array' or p_step ? 'symbol') then
        raise exception '%: give "symbol", or "symbols" as a list', v_what using errcode = 'TT001';
    end if;
    v_symbols := case when p_step ? 'symbols' then array(select distinct jsonb_array_elements_text(p_step->'symbols') order by 1)
        when p_step ? 'symbol' then array[p_step->>'symbol'] end;
    foreach v_symbol in array coalesce(v_symbols, '{}') loop
        -- An operand of the symbol makes it known to the program.
        v_done := signal._rule_operand(format('"%s".bid', v_symbol), 'field', 0, p_program);
        p_program := v_done->'program';
        v_streams := v_streams || (v_done->'operand'->'uses'->0->>0)::integer;
    end loop;
    if v_symbols is null then
        v_streams := '{0}';
        p_program := p_program || '{"is_keyed": true}';
    elsif v_symbols = '{}' then
        raise exception '%: "symbols" is empty', v_what using errcode = 'TT001';
    end if;
    if p_step ? 'every' and jsonb_typeof(p_step->'every') <> 'boolean' then
        raise exception '%: "every" is true or false', v_what using errcode = 'TT001';
    elsif cardinality(v_streams) = 1 and p_step ? 'every' then
        raise exception '%: "every" needs "symbols"', v_what using errcode = 'TT001';
    elsif p_step->'every' = 'true' and (p_step ?| '{absent,for,until}' or p_no = 1) then
        raise exception '%: "every" is for events, after the first step', v_what using errcode = 'TT001';
    elsif cardinality(v_streams) > 1 and (p_step ? 'until' or p_step ? 'on' and p_step ? 'for') then
        raise exception '%: "until" and "for" need a single instrument', v_what using errcode = 'TT001';
    elsif p_step ? 'absent' and (not p_step ? 'for' or p_step ? 'until') then
        raise exception '%: "absent" needs "for", and no "until"', v_what using errcode = 'TT001';
    elsif p_step ?& '{for,until}' then
        raise exception '%: a condition that holds "for" a time ends by itself: no "until"', v_what using errcode = 'TT001';
    elsif p_step ? 'on' and p_step ?| '{for,until}' and not p_step ? 'when' then
        raise exception '%: "for" and "until" need "when"', v_what using errcode = 'TT001';
    end if;

    v_done := signal._rule_conditions(p_step->>'when', v_streams, v_kind, p_step ?& '{on,for}', p_program);
    v_ends := case when p_step ? 'until' then signal._rule_conditions(
        p_step->>'until', v_streams, v_kind, false, v_done->'program') end;
    return jsonb_build_object(
        'program', coalesce(v_ends->'program', v_done->'program'),
        'bits', v_done->'bits',
        'step', jsonb_build_object(
            'kind', case when p_step ? 'absent' then 'absent' when p_step ? 'for' then 'held' else 'event' end,
            'wanted', v_done->'bits',
            'ends', case when p_step ? 'until' then v_ends->'bits' when p_step ?& '{on,for}' then v_done->'unless' end,
            'is_every', coalesce((p_step->>'every')::boolean, false),
            'for_us', case when p_step ? 'for' then signal._rule_duration(v_what || ': "for"', p_step->>'for') end));
end
$$;
comment on function signal._rule_step(jsonb, integer, jsonb) is 'One step of a rule''s pattern, compiled.';
