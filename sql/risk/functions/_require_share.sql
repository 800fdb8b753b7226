-- Refuses a probability or confidence that is not strictly between 0 and 1. Errors: TT001.
create or replace function risk._require_share(p_value double precision, p_name text)
returns void
language plpgsql
immutable
as $$
begin
    if (p_value > 0 and p_value < 1) is not true then
        raise exception '% is not between 0 and 1: %', p_name, coalesce(p_value::text, 'null') using errcode = 'TT001';
    end if;
end
$$;
comment on function risk._require_share(double precision, text) is 'Refuses what is no share between 0 and 1.';
grant execute on function risk._require_share(double precision, text) to tsdb_reader;
