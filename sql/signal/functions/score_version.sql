-- The predictions of a version for the rows of features (signal.feature_rows) of (p_from, p_to], with the
-- features and, where there is no prediction, the reason. A version that a worker scores has none here: its
-- rows come with neither. p_instruments null: all. Errors: TT002 unknown version, unknown feature; what the
-- features' functions raise.
create or replace function signal.score_version(
    p_version_id bigint,
    p_instruments integer[],
    p_from timestamptz,
    p_to timestamptz
)
returns table (
    as_of timestamptz, instrument_id integer, prediction double precision, reason text,
    features double precision[]
)
language plpgsql
stable
as $$
#variable_conflict use_column
declare
    v_version signal.model_versions;
begin
    select * into v_version from signal.model_versions v where v.version_id = p_version_id;
    if not found then
        raise exception 'unknown version %: see signal.model_versions', coalesce(p_version_id::text, 'null')
            using errcode = 'TT002';
    end if;
    return query
    with found as materialized (
        select r.as_of, r.instrument_id, r.features, signal._refusal(v_version.features, r.features, v_version.missing) as reason
        from signal.feature_rows(v_version.features, p_instruments, p_from, p_to) r
    ),
    numbered as materialized (
        select f.*, row_number() over (partition by f.reason is null order by f.as_of, f.instrument_id) - 1 as n from found f
    ),
    -- 2,000 rows at a time, for the arrays' sake.
    scored as (
        select b.batch, case v_version.scoring
            when 'linear' then signal.score_linear(b.rows, v_version.form)
            when 'trees' then signal.score_trees(b.rows, v_version.form) end as predictions
        from (
            select n.n / 2000 as batch, array_agg(n.features order by n.n) as rows
            from numbered n where n.reason is null group by n.n / 2000) b
    )
    select n.as_of, n.instrument_id, s.predictions[n.n % 2000 + 1], n.reason, n.features
    from numbered n
    left join scored s on n.reason is null and s.batch = n.n / 2000
    order by n.as_of, n.instrument_id;
end
$$;
comment on function signal.score_version(bigint, integer[], timestamptz, timestamptz) is
    'Predictions of a version of a model for what became known in a window. Errors: TT002.';
grant execute on function signal.score_version(bigint, integer[], timestamptz, timestamptz)
    to tsdb_reader, tsdb_worker_signals, tsdb_worker_scheduler;
