-- A version of a model; p_version null: the latest. Errors: TT002 unknown model or version.
create or replace function signal._version_of(p_model text, p_version integer)
returns signal.model_versions
language plpgsql
stable
as $$
declare
    v_model_id constant integer := signal._model_id(p_model);
    v_found signal.model_versions;
begin
    select * into v_found from signal.model_versions v
    where v.model_id = v_model_id and v.version = coalesce(p_version, v.version)
    order by v.version desc limit 1;
    if not found then
        raise exception 'model % has no version %: see signal.model_versions', p_model, p_version using errcode = 'TT002';
    end if;
    return v_found;
end
$$;
comment on function signal._version_of(text, integer) is 'A version of a model, the latest unless named.';
