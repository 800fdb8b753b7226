-- Measures the drift (signal.drift_of) of every version valid at p_as_of over the p_window before it, records it in
-- signal.drift, raises model_drift where a variable with p_least observations or more is beyond the version's
-- drift_threshold, and resolves it where none is. Returns what it measured. Repeatable.
create or replace function signal.watch_drift(
    p_as_of timestamptz,
    p_window interval default '30 days',
    p_least bigint default 200
)
returns table (model text, version integer, variable text, observations bigint, psi double precision)
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    v_version record;
    v_found jsonb;
begin
    if (isfinite(p_as_of) and p_window > '0' and p_least > 0) is not true then
        raise exception 'drift is of a window before a time, with one observation or more' using errcode = 'TT001';
    end if;
    for v_version in
        select v.version_id, m.model, v.version, v.drift_threshold
        from signal.model_periods p
        join signal.model_versions v using (version_id)
        join signal.models m on m.model_id = p.model_id
        where p.superseded_at = 'infinity' and p_as_of >= p.valid_from and p_as_of < p.valid_to
        order by m.model
    loop
        insert into signal.drift (version_id, variable, from_ts, to_ts, observations, psi)
        select v_version.version_id, d.variable, p_as_of - p_window, p_as_of, d.observations, d.psi
        from signal.drift_of(v_version.version_id, p_as_of - p_window, p_as_of) d
        on conflict do nothing;
        return query
        select v_version.model, v_version.version, d.variable, d.observations, d.psi
        from signal.drift d
        where d.version_id = v_version.version_id and d.to_ts = p_as_of and d.from_ts = p_as_of - p_window;
        select jsonb_object_agg(d.variable, round(d.psi::numeric, 4)) into v_found
        from signal.drift d
        where d.version_id = v_version.version_id and d.to_ts = p_as_of and d.from_ts = p_as_of - p_window
            and d.observations >= p_least and d.psi > v_version.drift_threshold;
        if v_found is not null then
            perform ops.raise_alert('model_drift', 'warning', 'model ' || v_version.model || ' drifts',
                jsonb_build_object('model', v_version.model, 'version', v_version.version, 'psi', v_found,
                    'threshold', v_version.drift_threshold));
        else
            perform ops._resolve_alerts(array(
                select a.alert_id from ops.alerts a
                where a.kind = 'model_drift' and a.detail->>'model' = v_version.model and a.resolved_at is null));
        end if;
    end loop;
end
$$;
comment on function signal.watch_drift(timestamptz, interval, bigint) is
    'Measures and records the drift of valid models; raises and resolves model_drift. Errors: TT001.';
grant execute on function signal.watch_drift(timestamptz, interval, bigint) to tsdb_worker_scheduler, tsdb_ops;
