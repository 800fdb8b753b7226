-- A duration as rules write it (250us, 100ms, 5s, 1.5m, 2h), in microseconds. TT001 for anything else, and for
-- one that is not above zero or longer than 31 days.
create or replace function signal._rule_duration(p_what text, p_text text)
returns double precision
language plpgsql
immutable
as $$
declare
    v_parts text[] := regexp_match(p_text, '^(\d{1,9}(?:\.\d{1,6})?)(us|ms|s|m|h)$');
    v_us double precision;
begin
    v_us := round(v_parts[1]::numeric * case v_parts[2]
        when 'us' then 1 when 'ms' then 1000 when 's' then 1000000 when 'm' then 60000000
        when 'h' then 3600000000 end);
    if (v_us between 1 and 2678400e6) is not true then
        raise exception '% "%" must be above zero and up to 744h (31 days), in us, ms, s, m or h, as in 100ms or 1.5m',
            p_what, p_text
            using errcode = 'TT001';
    end if;
    return v_us;
end
$$;
comment on function signal._rule_duration(text, text) is 'A duration of a rule in microseconds; TT001 if it is none.';
