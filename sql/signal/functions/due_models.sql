-- The versions to be scored up to p_as_of, each with the window (from_ts, to_ts]: from a week before the end of
-- its last run that succeeded, for what came late, or from the start of its validity, to p_as_of or the
-- end of its validity. Versions whose validity ended more than a week before are done.
create or replace function signal.due_models(p_as_of timestamptz)
returns table (
    version_id bigint, model text, version integer, scoring text, from_ts timestamptz, to_ts timestamptz
)
language sql
stable
as $$
    select v.version_id, m.model, v.version, v.scoring,
           greatest(p.valid_from - interval '1 microsecond',
               (select max(r.to_ts) from signal.model_runs r
                where r.version_id = v.version_id and r.error is null and r.to_ts <= p_as_of) - interval '7 days'),
           least(p_as_of, p.valid_to - interval '1 microsecond')
    from signal.model_periods p
    join signal.model_versions v using (version_id)
    join signal.models m on m.model_id = p.model_id
    where p.superseded_at = 'infinity' and p.valid_from <= p_as_of and p.valid_to > p_as_of - interval '7 days'
    order by m.model, v.version
$$;
comment on function signal.due_models(timestamptz) is 'The versions to be scored up to a time, with their windows.';
grant execute on function signal.due_models(timestamptz) to tsdb_reader, tsdb_worker_scheduler;
