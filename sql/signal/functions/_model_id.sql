-- The id of a model. Errors: TT002 unknown model.
create or replace function signal._model_id(p_model text)
returns integer
language plpgsql
stable
as $$
declare
    v_id integer;
begin
    select m.model_id into v_id from signal.models m where m.model = p_model;
    if v_id is null then
        raise exception 'unknown model "%"%: see signal.models', coalesce(p_model, 'null'),
            ref._did_you_mean(p_model, array(select m.model from signal.models m)) using errcode = 'TT002';
    end if;
    return v_id;
end
$$;
comment on function signal._model_id(text) is 'The id of a model.';
grant execute on function signal._model_id(text) to tsdb_reader, tsdb_worker_scheduler, tsdb_worker_signals;
