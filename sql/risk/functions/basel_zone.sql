-- The Basel traffic light of a year (250 days) of a VaR at 99%: green to 4 exceptions, yellow to 9, then red.
-- Errors: TT001 no count.
create or replace function risk.basel_zone(p_exceptions integer)
returns text
language plpgsql
immutable
parallel safe
as $$
begin
    if (p_exceptions >= 0) is not true then
        raise exception 'no count of exceptions: %', coalesce(p_exceptions::text, 'null') using errcode = 'TT001';
    end if;
    return case when p_exceptions <= 4 then 'green' when p_exceptions <= 9 then 'yellow' else 'red' end;
end
$$;
comment on function risk.basel_zone(integer) is
    'The Basel traffic light of 250 days of a VaR at 99%: green, yellow or red. Errors: TT001.';
grant execute on function risk.basel_zone(integer) to tsdb_reader;
