-- Refuses a word that is not one of the known ones: TT002, with the closest known word.
create or replace function signal._check_word(p_what text, p_word text, p_known text[])
returns void
language plpgsql
as $$
declare
    v_meant text;
begin
    if p_word = any (p_known) then
        return;
    end if;
    v_meant := ref._closest(p_word, p_known);
    raise exception 'unknown % "%": %', p_what, p_word,
        case when v_meant is not null then 'did you mean ' || v_meant || '?'
            when p_known = '{}' then 'there is none'
            when cardinality(p_known) > 40 then 'it is not registered'
            else 'there is ' || array_to_string(p_known, ', ') end
        using errcode = 'TT002';
end
$$;
comment on function signal._check_word(text, text, text[]) is
    'Raises TT002 with the closest known word, unless the word is known.';
