-- What a model predicts at p_as_of: per instrument the last row of features known by then and not older than
-- the first feature's max_age, scored by the version valid at p_as_of. known_at: when that row became known. Rows
-- without a prediction have the reason. No rows where no version is valid.
-- Errors: TT002 unknown model; what the features' functions raise.
create or replace function signal.predict(p_model text, p_as_of timestamptz)
returns table (
    instrument_id integer, prediction double precision, known_at timestamptz, reason text, version integer
)
language sql
stable
as $$
    select distinct on (r.instrument_id) r.instrument_id, r.prediction, r.as_of, r.reason, v.version
    from signal.model_periods p
    join signal.model_versions v using (version_id)
    join signal.feature_definitions d on d.feature = v.features[1]
    cross join lateral (
        select s.as_of, s.instrument_id, s.prediction, s.reason
        from signal.score_version(v.version_id, null, p_as_of - d.max_age, p_as_of) s
        where v.scoring <> 'worker'
        union all
        select s.as_of, s.instrument_id, s.prediction, s.reason
        from signal.predictions s
        where v.scoring = 'worker' and s.version_id = v.version_id
            and s.as_of > p_as_of - d.max_age and s.as_of <= p_as_of) r
    where p.model_id = signal._model_id(p_model) and p.superseded_at = 'infinity'
        and p_as_of >= p.valid_from and p_as_of < p.valid_to
    order by r.instrument_id, r.as_of desc
$$;
comment on function signal.predict(text, timestamptz) is
    'What a model predicts at a time, per instrument, from what was known then. Errors: TT002.';
grant execute on function signal.predict(text, timestamptz)
    to tsdb_reader, tsdb_worker_signals, tsdb_worker_scheduler;
