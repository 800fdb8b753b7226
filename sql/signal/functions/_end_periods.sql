-- Ends what answers for a model from p_at on: rows that reach beyond are superseded, and what stays true of
-- them is written again. Returns how many rows were ended.
create or replace function signal._end_periods(p_model_id integer, p_at timestamptz)
returns integer
language plpgsql
as $$
declare
    v_ended integer;
begin
    -- Whoever changes the periods of a model at the same time queues up here.
    perform from signal.models m where m.model_id = p_model_id for update;
    with ended as (
        update signal.model_periods p set superseded_at = clock_timestamp()
        where p.model_id = p_model_id and p.superseded_at = 'infinity' and p.valid_to > p_at
        returning p.*
    ),
    shortened as (
        insert into signal.model_periods (model_id, version_id, valid_from, valid_to)
        select e.model_id, e.version_id, e.valid_from, p_at from ended e where e.valid_from < p_at
    )
    select count(*) into v_ended from ended;
    return v_ended;
end
$$;
comment on function signal._end_periods(integer, timestamptz) is 'Ends what answers for a model from a time on.';
