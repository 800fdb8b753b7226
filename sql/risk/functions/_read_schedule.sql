-- Reads the schedule of a reduction plan that starts at p_as_of: see risk.plan_reduction for the keys.
-- Errors: TT001 a key that is unknown, missing or of no use.
create or replace function risk._read_schedule(p_schedule jsonb, p_as_of timestamptz)
returns risk.reduction_plans
language plpgsql
stable
as $$
declare
    v_known constant text[] := array['bucket_s', 'participation', 'max_quantity', 'limit_offset_bps', 'deadline'];
    v_key text;
    v_plan risk.reduction_plans;
begin
    if p_schedule is null or jsonb_typeof(p_schedule) <> 'object' then
        raise exception 'a schedule is a JSON object such as {"bucket_s": 60, "participation": 0.1}'
            using errcode = 'TT001';
    end if;
    for v_key in select k from jsonb_object_keys(p_schedule) k where k <> all (v_known) loop
        raise exception 'schedule key "%" is unknown: use %', v_key, array_to_string(v_known, ', ')
            using errcode = 'TT001';
    end loop;
    for v_key in select k from jsonb_each(p_schedule) e (k, v)
        where jsonb_typeof(v) <> case k when 'deadline' then 'string' else 'number' end loop
        raise exception 'schedule key "%" has the unusable value %', v_key, p_schedule->v_key
            using errcode = 'TT001';
    end loop;
    begin
        v_plan.bucket := make_interval(secs => (p_schedule->>'bucket_s')::double precision);
        v_plan.deadline := p_schedule->>'deadline';
    exception
        when invalid_datetime_format or datetime_field_overflow or numeric_value_out_of_range then
            raise exception 'schedule has an unusable time: %', sqlerrm using errcode = 'TT001';
    end;
    v_plan.starts_at := p_as_of;
    v_plan.participation := p_schedule->>'participation';
    v_plan.max_quantity := p_schedule->>'max_quantity';
    v_plan.limit_offset_bps := coalesce((p_schedule->>'limit_offset_bps')::numeric, 5);
    if coalesce(v_plan.bucket >= interval '1 second', false) is false then
        raise exception 'schedule key "bucket_s" must be at least 1 second' using errcode = 'TT001';
    elsif num_nonnulls(v_plan.participation, v_plan.max_quantity) = 0 then
        raise exception 'a schedule needs a cap per bucket: participation, max_quantity or both'
            using errcode = 'TT001';
    elsif not coalesce(v_plan.participation > 0 and v_plan.participation <= 1, true) then
        raise exception 'participation % is not above 0 and at most 1', v_plan.participation
            using errcode = 'TT001';
    elsif not coalesce(v_plan.max_quantity > 0, true) then
        raise exception 'max_quantity % is not above 0', v_plan.max_quantity using errcode = 'TT001';
    elsif not (v_plan.limit_offset_bps >= 0 and v_plan.limit_offset_bps < 10000) then
        raise exception 'limit_offset_bps % is not from 0 to below 10000', v_plan.limit_offset_bps
            using errcode = 'TT001';
    elsif v_plan.deadline <= p_as_of then
        raise exception 'the deadline % is not after the start %', v_plan.deadline, p_as_of
            using errcode = 'TT001';
    end if;
    return v_plan;
end
$$;
comment on function risk._read_schedule(jsonb, timestamptz) is 'Reads the schedule of a reduction plan.';
