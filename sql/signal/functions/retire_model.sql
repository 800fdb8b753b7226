-- From p_at on no version answers for a model. What it answered for earlier times stays. Its alerts are
-- resolved. Errors: TT002 unknown model; TT004 a model that answers for no time from then on; TT001 no time.
create or replace function signal.retire_model(p_model text, p_at timestamptz)
returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_model_id constant integer := signal._model_id(p_model);
begin
    perform ops._audit('signal.retire_model', p_model, jsonb_build_object('at', p_at));
    if (isfinite(p_at)) is not true then
        raise exception 'a model is retired from a time on' using errcode = 'TT001';
    elsif signal._end_periods(v_model_id, p_at) = 0 then
        raise exception 'model % answers for no time from % on', p_model, p_at using errcode = 'TT004';
    end if;
    perform ops._resolve_alerts(array(
        select a.alert_id from ops.alerts a
        where a.kind in ('model_drift', 'model_failed') and a.detail->>'model' = p_model and a.resolved_at is null));
end
$$;
comment on function signal.retire_model(text, timestamptz) is
    'From a time on no version answers for a model. Errors: TT001, TT002, TT004.';
grant execute on function signal.retire_model(text, timestamptz) to tsdb_ops;
