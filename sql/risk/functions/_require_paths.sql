-- Refuses a simulation of no use: of no path or more than ten million, without a seed, of more than 50 factors.
-- Errors: TT001.
create or replace function risk._require_paths(p_factors integer, p_paths integer, p_seed bigint)
returns void
language plpgsql
immutable
as $$
begin
    if (p_paths between 1 and 10000000) is not true then
        raise exception 'p_paths is not between 1 and 10000000: %', coalesce(p_paths::text, 'null')
            using errcode = 'TT001';
    end if;
    if p_seed is null then
        raise exception 'a simulation needs p_seed' using errcode = 'TT001';
    end if;
    if p_factors > 50 then
        raise exception '% factors are more than 50: describe the positions by fewer', p_factors
            using errcode = 'TT001';
    end if;
end
$$;
comment on function risk._require_paths(integer, integer, bigint) is 'Refuses a simulation of no use.';
grant execute on function risk._require_paths(integer, integer, bigint) to tsdb_reader;
