-- Draws of whole days from history, with replacement, so that what moved together stays together: a row
-- per path (from 1), a return per factor. p_history: a row of returns per day. The same seed gives the same
-- draws. Errors: TT001 no history, no seed, no paths.
create or replace function risk.draw_empirical(p_history double precision[][], p_paths integer, p_seed bigint)
returns table (path integer, draws double precision[])
language plpgsql
immutable
as $$
declare
    v_days constant integer := array_length(p_history, 1);
begin
    perform risk._require_numbers(p_history, 'p_history');
    if array_ndims(p_history) <> 2 then
        raise exception 'p_history has no row per day' using errcode = 'TT001';
    end if;
    perform risk._require_paths(1, p_paths, p_seed);
    return query
        with days as materialized (
            select d, array(select v from unnest(p_history[d:d]) v) as returns from generate_series(1, v_days) d)
        select p.path, days.returns
        from generate_series(1, p_paths) as p (path)
        join days on days.d = 1 + floor(risk._uniform(p_seed, p.path, 0) * v_days)
        order by p.path;
end
$$;
comment on function risk.draw_empirical(double precision[], integer, bigint) is
    'Draws of whole days from history, a row per path; the same seed gives the same draws. Errors: TT001.';
grant execute on function risk.draw_empirical(double precision[], integer, bigint) to tsdb_reader;
