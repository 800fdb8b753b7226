-- Stores the predictions of a version for a window, and that its run succeeded; returns how many were new.
-- Row n is p_predictions[n], or the reason for none, for p_instruments[n] at p_as_ofs[n]; p_features has the
-- features of all rows, one after the other. A row that is there stays as it is, so that a run can be repeated.
-- Errors: TT001 arrays that do not fit; TT002 unknown version.
create or replace function signal.save_predictions(
    p_version_id bigint,
    p_from timestamptz,
    p_to timestamptz,
    p_as_ofs timestamptz[],
    p_instruments integer[],
    p_predictions double precision[],
    p_reasons text[],
    p_features double precision[]
)
returns integer
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_model text;
    v_width integer;
    v_rows constant integer := coalesce(cardinality(p_as_ofs), 0);
    v_written integer;
begin
    perform ops._audit('signal.save_predictions', p_version_id::text,
        jsonb_build_object('from', p_from, 'to', p_to, 'rows', v_rows));
    select m.model, cardinality(v.features) into v_model, v_width
    from signal.model_versions v join signal.models m using (model_id) where v.version_id = p_version_id;
    if not found then
        raise exception 'unknown version %: see signal.model_versions', coalesce(p_version_id::text, 'null')
            using errcode = 'TT002';
    elsif array[coalesce(cardinality(p_instruments), 0), coalesce(cardinality(p_predictions), 0),
        coalesce(cardinality(p_reasons), 0), coalesce(cardinality(p_features), 0)]
        <> array[v_rows, v_rows, v_rows, v_rows * v_width]
    then
        raise exception '% rows of predictions with % features each do not fit the other arrays', v_rows, v_width
            using errcode = 'TT001';
    end if;
    insert into signal.predictions (as_of, version_id, instrument_id, prediction, reason, features)
    select r.as_of, p_version_id, r.instrument_id, r.prediction, r.reason, f.features
    from unnest(p_as_ofs, p_instruments, p_predictions, p_reasons) with ordinality
        r (as_of, instrument_id, prediction, reason, n)
    join (
        select (x.n - 1) / v_width + 1 as n, array_agg(x.value order by x.n) as features
        from unnest(p_features) with ordinality x (value, n) group by 1) f using (n)
    on conflict do nothing;
    get diagnostics v_written = row_count;
    insert into signal.model_runs (version_id, from_ts, to_ts, predictions, refused)
    values (p_version_id, p_from, p_to, v_rows, v_rows - (select count(*) from unnest(p_predictions) p where p is not null));
    perform ops._resolve_alerts(array(
        select a.alert_id from ops.alerts a
        where a.kind = 'model_failed' and a.detail->>'model' = v_model and a.resolved_at is null));
    return v_written;
end
$$;
comment on function signal.save_predictions(
    bigint, timestamptz, timestamptz, timestamptz[], integer[], double precision[], text[], double precision[]) is
    'Stores the predictions of a version for a window; returns how many were new. Errors: TT001, TT002.';
grant execute on function signal.save_predictions(
    bigint, timestamptz, timestamptz, timestamptz[], integer[], double precision[], text[], double precision[])
    to tsdb_worker_scheduler, tsdb_ops;
