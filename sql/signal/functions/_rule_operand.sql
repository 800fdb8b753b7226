-- A name of a rule's condition that is no operator: a field of the condition's own stream or of a named
-- instrument. Returns the operand and the program, which knows the instrument from then on.
create or replace function signal._rule_operand(p_token text, p_class text, p_stream integer, p_program jsonb)
returns jsonb
language plpgsql
stable
as $$
declare
    v_stream integer := p_stream;
    v_field text := p_token;
    v_symbol text;
    v_id integer;
    v_operand jsonb;
begin
    if p_class = 'number' and p_token::numeric <> 0 and p_token::numeric not between 1e-307 and 1.7e308 then
        raise exception 'number "%" is too large or too small', left(p_token, 20) using errcode = 'TT001';
    elsif p_class in ('number', 'duration', 'clock') then
        v_operand := jsonb_build_object('type', p_class, 'src', p_token, 'uses', '[]'::jsonb,
            'sql', p_token || '::float8',
            'value', case p_class when 'number' then to_jsonb(p_token::numeric)
                when 'duration' then to_jsonb(signal._rule_duration('window', p_token))
                else to_jsonb(signal._rule_clock('window', p_token)) end);
        return jsonb_build_object('program', p_program, 'operand', v_operand);
    elsif p_class = 'text' then
        return jsonb_build_object('program', p_program, 'operand', jsonb_build_object(
            'type', 'text', 'value', trim(both '''' from p_token), 'src', p_token, 'uses', '[]'::jsonb));
    elsif p_class = 'field' then
        v_symbol := trim(both '"' from substring(p_token from '^(.*)\.'));
        v_field := substring(p_token from '\.([a-z_0-9]+)$');
        v_id := signal._rule_instrument(v_symbol);
        select n into v_stream from jsonb_array_elements_text(p_program->'named') with ordinality s (id, n)
        where s.id::integer = v_id;
        if v_stream is null then
            p_program := jsonb_set(p_program, '{named}', (p_program->'named') || to_jsonb(v_id));
            v_stream := jsonb_array_length(p_program->'named');
        end if;
    end if;
    v_operand := signal._rule_field(v_field, v_stream);
    v_operand := v_operand || jsonb_build_object('src', p_token, 'terms', case v_operand->>'type'
        when 'number' then jsonb_build_object(p_token, v_operand->>'sql') else '{}'::jsonb end);
    return jsonb_build_object('program', p_program, 'operand', v_operand);
end
$$;
comment on function signal._rule_operand(text, text, integer, jsonb) is 'A field or literal of a rule''s condition as SQL.';
