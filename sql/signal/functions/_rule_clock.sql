-- A part of the day as rules write it (09:30-10:00), as two numbers of seconds since midnight. TT001 otherwise.
create or replace function signal._rule_clock(p_what text, p_text text)
returns double precision[]
language plpgsql
immutable
as $$
declare
    v_parts text[] := regexp_match(p_text, '^([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-4]):([0-5]\d)$');
    v_from integer := v_parts[1]::integer * 3600 + v_parts[2]::integer * 60;
    v_to integer := v_parts[3]::integer * 3600 + v_parts[4]::integer * 60;
begin
    if (v_from < v_to and v_to <= 86400) is not true then
        raise exception '% "%" must be a part of one day, written as 09:30-16:00', p_what, p_text using errcode = 'TT001';
    end if;
    return array[v_from, v_to];
end
$$;
comment on function signal._rule_clock(text, text) is 'A part of the day of a rule, in seconds since midnight; TT001 if it is none.';
