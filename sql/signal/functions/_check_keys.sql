-- Refuses an object with a key that is not known (TT002, with the closest), or no object (TT001).
create or replace function signal._check_keys(p_what text, p_object jsonb, p_known text[])
returns void
language plpgsql
as $$
begin
    if jsonb_typeof(p_object) is distinct from 'object' then
        raise exception '% must be an object with the keys %', p_what, array_to_string(p_known, ', ') using errcode = 'TT001';
    end if;
    perform signal._check_word('key of ' || p_what, k, p_known) from jsonb_object_keys(p_object) k;
end
$$;
comment on function signal._check_keys(text, jsonb, text[]) is 'Raises TT002 for a key that is not known.';
