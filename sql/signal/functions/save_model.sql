-- Saves a new version of a model, which is made when it is the first, and returns its version_id.
-- p_version: JSON with task, estimator, scoring, features, horizon, missing, parameters, metrics, form (of
-- signal.model_form), trained_from, trained_to, data_watermark, code_version, features_hash, libraries,
-- drift_threshold and bins ({variable: {edges, shares}}). p_artefact: what a worker scores with, a pickle;
-- reading one runs code, so only the owner and logins with the rights of the scheduler, which reads it,
-- may save one.
-- Errors: TT001 a value or form that cannot be, TT002 unknown feature, TT004 an artefact from another login.
create or replace function signal.save_model(
    p_model text,
    p_description text,
    p_version jsonb,
    p_artefact bytea default null
)
returns bigint
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_new signal.model_versions;
    v_model_id integer;
begin
    v_new := jsonb_populate_record(null::signal.model_versions, p_version - 'artefact' - 'bins');
    perform ops._audit('signal.save_model', p_model, jsonb_build_object(
        'estimator', v_new.estimator, 'artefact_sha256', encode(sha256(p_artefact), 'hex')));
    if p_artefact is not null and not (
        pg_has_role(session_user, 'tsdb_worker_scheduler', 'member') or pg_has_role(session_user, 'tsdb_trader', 'member'))
    then
        raise exception 'reading an artefact runs code: % may save only models that are scored in the database', session_user
            using errcode = 'TT004';
    end if;
    perform from signal._find_features(v_new.features);
    -- A composite is not null only where every attribute is.
    if v_new.scoring <> 'worker' and not (v_new.form is null) then
        perform signal._check_form(v_new.form, v_new.scoring, cardinality(v_new.features));
    end if;
    insert into signal.models (model, description) values (p_model, coalesce(p_description, ''))
    on conflict (model) do nothing;
    -- Two versions at once queue up here.
    select m.model_id into v_model_id from signal.models m where m.model = p_model for update;
    insert into signal.model_versions
        (model_id, version, task, estimator, scoring, features, horizon, missing, parameters, metrics, form,
         artefact, artefact_sha256, trained_from, trained_to, data_watermark, code_version, features_hash,
         libraries, drift_threshold)
    select v_model_id, 1 + coalesce(max(v.version), 0), v_new.task, v_new.estimator, v_new.scoring,
           v_new.features, v_new.horizon, v_new.missing, v_new.parameters, v_new.metrics,
           case when v_new.scoring <> 'worker' then v_new.form end, p_artefact,
           encode(sha256(p_artefact), 'hex'), v_new.trained_from, v_new.trained_to, v_new.data_watermark,
           v_new.code_version, v_new.features_hash, v_new.libraries, coalesce(v_new.drift_threshold, 0.2)
    from signal.model_versions v where v.model_id = v_model_id
    returning * into v_new;
    insert into signal.model_bins (version_id, variable, edges, shares)
    select v_new.version_id, b.key,
           array(select e.x::float8 from jsonb_array_elements_text(b.value->'edges') with ordinality e (x, n) order by e.n),
           array(select e.x::float8 from jsonb_array_elements_text(b.value->'shares') with ordinality e (x, n) order by e.n)
    from jsonb_each(p_version->'bins') b;
    return v_new.version_id;
exception
    when check_violation or not_null_violation or data_exception then
        raise exception 'a version of model % cannot be saved: %', coalesce(p_model, 'null'), sqlerrm using errcode = 'TT001';
end
$$;
comment on function signal.save_model(text, text, jsonb, bytea) is
    'Saves a new version of a model and returns its version_id. Errors: TT001, TT002, TT004.';
grant execute on function signal.save_model(text, text, jsonb, bytea) to tsdb_ops;
