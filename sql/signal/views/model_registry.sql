-- Every version of every model: status candidate (never valid), active (valid from some time on without end),
-- or retired (valid for past times only), and what it rests on.
create or replace view signal.model_registry as
select m.model, v.version, p.status, p.valid_from, p.valid_to, v.task, v.estimator, v.scoring, v.features,
       v.horizon, v.missing, v.metrics, v.parameters, v.trained_from, v.trained_to, v.data_watermark,
       v.code_version, v.libraries, v.drift_threshold, v.artefact_sha256, v.saved_by, v.recorded_at,
       v.version_id, m.description
from signal.model_versions v
join signal.models m using (model_id)
cross join lateral (
    select case when count(*) = 0 then 'candidate' when max(p.valid_to) = 'infinity' then 'active'
                else 'retired' end as status,
           min(p.valid_from) as valid_from, max(p.valid_to) as valid_to
    from signal.model_periods p
    where p.version_id = v.version_id and p.superseded_at = 'infinity') p;
comment on view signal.model_registry is 'Every version of every model, with its status and what it rests on.';
grant select on signal.model_registry to tsdb_reader;
