-- Scores a version in the database for what became known in (p_from, p_to] and stores the predictions; returns
-- how many were new. Errors: TT002 unknown version; TT004 a version that a worker scores; what the features'
-- functions raise.
create or replace function signal.record_predictions(
    p_version_id bigint,
    p_from timestamptz,
    p_to timestamptz
)
returns integer
language plpgsql
as $$
begin
    if exists (
        select from signal.model_versions v where v.version_id = p_version_id and v.scoring = 'worker')
    then
        raise exception 'version % is scored by a worker: run `tsdb-trader model score`', p_version_id
            using errcode = 'TT004';
    end if;
    return (
        select signal.save_predictions(p_version_id, p_from, p_to,
            coalesce(array_agg(s.as_of order by s.n), '{}'), coalesce(array_agg(s.instrument_id order by s.n), '{}'),
            coalesce(array_agg(s.prediction order by s.n), '{}'), coalesce(array_agg(s.reason order by s.n), '{}'),
            coalesce(array_agg(s.features order by s.n), '{}'))
        from (
            select r.*, row_number() over (order by r.as_of, r.instrument_id) as n
            from signal.score_version(p_version_id, null, p_from, p_to) r) s);
end
$$;
comment on function signal.record_predictions(bigint, timestamptz, timestamptz) is
    'Scores a version in the database for a window and stores the predictions. Errors: TT002, TT004.';
grant execute on function signal.record_predictions(bigint, timestamptz, timestamptz) to tsdb_worker_scheduler, tsdb_ops;
