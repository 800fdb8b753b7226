-- How far the features and the predictions that a version had in (p_from, p_to] are distributed differently
-- from those it was trained on (signal.model_bins): their population stability index, by variable; prediction is
-- without rows that have none. No rows where there were no predictions. Errors: TT002 unknown version.
create or replace function signal.drift_of(p_version_id bigint, p_from timestamptz, p_to timestamptz)
returns table (variable text, observations bigint, psi double precision)
language plpgsql
stable
as $$
#variable_conflict use_column
declare
    v_features constant text[] := (select v.features from signal.model_versions v where v.version_id = p_version_id);
begin
    if v_features is null then
        raise exception 'unknown version %: see signal.model_versions', coalesce(p_version_id::text, 'null')
            using errcode = 'TT002';
    end if;
    return query
    with found as (
        select b.variable, b.edges, b.shares,
               case when b.variable = 'prediction' then p.prediction
                    else p.features[array_position(v_features, b.variable)] end as value
        from signal.predictions p
        cross join signal.model_bins b
        where b.version_id = p_version_id and p.version_id = p_version_id and p.as_of > p_from and p.as_of <= p_to
            and (b.variable <> 'prediction' or p.prediction is not null)
    ),
    counted as (
        select f.variable, f.edges, f.shares, x.bin, count(*) as n
        from found f
        cross join lateral (
            select case when f.value is null or f.value = 'NaN' then cardinality(f.edges) + 1
                        else width_bucket(f.value, f.edges) end as bin) x
        group by f.variable, f.edges, f.shares, x.bin
    )
    select t.variable, t.observations, signal.population_stability(t.shares, array(
        select coalesce(c.n, 0) / t.observations::float8
        from generate_series(0, cardinality(t.shares) - 1) bins (bin)
        left join counted c on c.variable = t.variable and c.bin = bins.bin
        order by bins.bin))
    from (
        select c.variable, c.shares, sum(c.n)::bigint as observations
        from counted c group by c.variable, c.shares) t
    order by t.variable;
end
$$;
comment on function signal.drift_of(bigint, timestamptz, timestamptz) is
    'Population stability of a version''s features and predictions of a window. Errors: TT002.';
grant execute on function signal.drift_of(bigint, timestamptz, timestamptz) to tsdb_reader, tsdb_worker_scheduler;
