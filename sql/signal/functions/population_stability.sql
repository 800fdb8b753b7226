-- The population stability index of two distributions over the same bins, given as shares: the sum of
-- (actual - expected) * ln(actual / expected) (Siddiqi, Credit Risk Scorecards, 2006, chapter 8). An empty bin
-- counts as a share of 0.0001. Errors: TT001 arrays of different length, or of what is no share.
create or replace function signal.population_stability(p_expected double precision[], p_actual double precision[])
returns double precision
language plpgsql
immutable
parallel safe
as $$
begin
    if cardinality(p_expected) is distinct from cardinality(p_actual) or coalesce(cardinality(p_expected), 0) = 0
        or exists (select from unnest(p_expected || p_actual) s where (s between 0 and 1) is not true)
    then
        raise exception 'population stability is of two arrays of shares over the same bins' using errcode = 'TT001';
    end if;
    return (
        select sum((a.share - e.share) * ln(a.share / e.share) order by b.n)
        from unnest(p_expected, p_actual) with ordinality b (expected, actual, n)
        cross join lateral (select greatest(b.expected, 1e-4) as share) e
        cross join lateral (select greatest(b.actual, 1e-4) as share) a);
end
$$;
comment on function signal.population_stability(double precision[], double precision[]) is
    'Population stability index of two distributions given as shares of the same bins. Errors: TT001.';
grant execute on function signal.population_stability(double precision[], double precision[])
    to tsdb_reader, tsdb_worker_scheduler;
