-- The words of a rule's condition, in order. TT001 at the first character that begins none.
-- class: number, duration, clock (09:30-10:00), text ('…'), name, field (SPY.mid, "BRK.B".mid), sign.
create or replace function signal._rule_tokens(p_text text)
returns table (token text, class text)
language plpgsql
immutable
as $$
#variable_conflict use_column
declare
    v_rest text := ltrim(p_text, E' \t\n');
    v_kinds constant text[] := array[
        ['clock', '^\d\d:\d\d-\d\d:\d\d'],
        ['duration', '^\d+(?:\.\d+)?(?:us|ms|s|m|h)(?![a-zA-Z0-9_.])'],
        ['number', '^(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d{1,3})?(?![a-zA-Z0-9_.])'],
        ['text', '^''[^'']*'''],
        ['field', '^(?:"[^"]+"|[A-Za-z][A-Za-z0-9]*)\.[a-z_0-9]+'],
        ['name', '^[A-Za-z_][A-Za-z0-9_]*'],
        ['sign', '^(?:<=|>=|<>|!=|[-+*/<>=(),])']];
    v_found text;
begin
    if length(p_text) > 2000 then
        raise exception 'a condition has at most 2000 characters' using errcode = 'TT001';
    end if;
    while v_rest <> '' loop
        for i in 1..array_length(v_kinds, 1) loop
            v_found := substring(v_rest from v_kinds[i][2]);
            if v_found is not null then
                token := v_found;
                class := v_kinds[i][1];
                return next;
                exit;
            end if;
        end loop;
        if v_found is null and v_rest ~ '^\d+(?:\.\d*)?[a-zA-Z]' then
            raise exception 'condition "%": "%" has an unknown unit: durations are in us, ms, s, m or h, as in 90s or 1.5h',
                p_text, substring(v_rest from '^[0-9.]+[a-zA-Z0-9_]*') using errcode = 'TT001';
        elsif v_found is null then
            raise exception 'condition "%": cannot read "%"', p_text, left(v_rest, 20) using errcode = 'TT001';
        end if;
        v_rest := ltrim(substr(v_rest, length(v_found) + 1), E' \t\n');
    end loop;
end
$$;
comment on function signal._rule_tokens(text) is 'The words of a rule''s condition.';
