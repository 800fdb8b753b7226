-- Lets a version answer for its model from p_valid_from on, in place of any other, and returns its version.
-- p_version null: the latest. p_valid_from null: from the end of its training; it cannot be earlier.
-- Errors: TT002 unknown model or version; TT001 a time before the end of its training.
create or replace function signal.activate_model(
    p_model text,
    p_version integer default null,
    p_valid_from timestamptz default null
)
returns integer
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_version signal.model_versions := signal._version_of(p_model, p_version);
    v_from timestamptz := coalesce(p_valid_from, v_version.trained_to);
begin
    perform ops._audit('signal.activate_model', p_model, jsonb_build_object(
        'version', v_version.version, 'valid_from', v_from));
    if (v_from >= v_version.trained_to and isfinite(v_from)) is not true then
        raise exception 'version % of model % was trained on data up to %: it cannot answer from % on',
            v_version.version, p_model, v_version.trained_to, v_from using errcode = 'TT001';
    end if;
    perform signal._end_periods(v_version.model_id, v_from);
    insert into signal.model_periods (model_id, version_id, valid_from)
    values (v_version.model_id, v_version.version_id, v_from);
    return v_version.version;
end
$$;
comment on function signal.activate_model(text, integer, timestamptz) is
    'Lets a version answer for its model from a time on. Errors: TT001, TT002.';
grant execute on function signal.activate_model(text, integer, timestamptz) to tsdb_ops;
