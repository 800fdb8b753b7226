-- The predictions of a model for what became known in (p_from, p_to], each row by the version that is valid
-- at its time (signal.model_periods), so that none was trained on what came later. Models that a worker
-- scores answer from signal.predictions. Rows without a prediction have the reason. p_instruments null: all.
-- Errors: TT002 unknown model; what the features' functions raise.
create or replace function signal.score_model(
    p_model text,
    p_instruments integer[],
    p_from timestamptz,
    p_to timestamptz
)
returns table (
    as_of timestamptz, instrument_id integer, prediction double precision, reason text, version integer
)
language plpgsql
stable
as $$
#variable_conflict use_column
declare
    v_model_id constant integer := signal._model_id(p_model);
    v_period record;
begin
    for v_period in
        select v.version_id, v.version, v.scoring, p.valid_from, p.valid_to
        from signal.model_periods p
        join signal.model_versions v using (version_id)
        where p.model_id = v_model_id and p.superseded_at = 'infinity'
            and p.valid_from <= p_to and p.valid_to > p_from
        order by p.valid_from
    loop
        if v_period.scoring = 'worker' then
            return query
            select r.as_of, r.instrument_id, r.prediction, r.reason, v_period.version
            from signal.predictions r
            where r.version_id = v_period.version_id and r.as_of > p_from and r.as_of <= p_to
                and r.as_of >= v_period.valid_from and r.as_of < v_period.valid_to
                and (p_instruments is null or r.instrument_id = any (p_instruments))
            order by r.as_of, r.instrument_id;
        else
            return query
            select r.as_of, r.instrument_id, r.prediction, r.reason, v_period.version
            from signal.score_version(v_period.version_id, p_instruments,
                greatest(p_from, v_period.valid_from - interval '1 microsecond'), least(p_to, v_period.valid_to)) r
            where r.as_of < v_period.valid_to;
        end if;
    end loop;
end
$$;
comment on function signal.score_model(text, integer[], timestamptz, timestamptz) is
    'Predictions of a model for what became known in a window, by the versions valid then. Errors: TT002.';
grant execute on function signal.score_model(text, integer[], timestamptz, timestamptz)
    to tsdb_reader, tsdb_worker_signals, tsdb_worker_scheduler;
