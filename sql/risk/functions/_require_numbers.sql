-- Refuses an array that no figure can be computed from: null, empty, or with an element that is null, NaN
-- or infinite. Errors: TT001.
create or replace function risk._require_numbers(p_values double precision[], p_name text)
returns void
language plpgsql
immutable
as $$
begin
    if coalesce(cardinality(p_values), 0) = 0 then
        raise exception '% has no values', p_name using errcode = 'TT001';
    end if;
    -- NaN is greater than infinity, so one comparison refuses both.
    if exists (select from unnest(p_values) v where (v > '-infinity' and v < 'infinity') is not true) then
        raise exception '% has a value that is null, NaN or infinite', p_name using errcode = 'TT001';
    end if;
end
$$;
comment on function risk._require_numbers(double precision[], text) is 'Refuses arrays without usable numbers.';
grant execute on function risk._require_numbers(double precision[], text) to tsdb_reader;
