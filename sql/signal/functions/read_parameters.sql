-- Parameters of the pairs strategy with changes applied: keys of p_changes replace those of p_base.
-- Errors: TT001, a key that is no parameter or a value outside its range. mean may be null (the
-- first spread is used), and max_holding_s and cool_down_s (no time stop, no cool-down).
create or replace function signal.read_parameters(
    p_base signal.pairs_parameters,
    p_changes jsonb
)
returns signal.pairs_parameters
language plpgsql
immutable
set search_path = pg_catalog, pg_temp
as $$
declare
    v signal.pairs_parameters;
    v_unknown text;
    v_wrong text;
begin
    if jsonb_typeof(p_changes) is distinct from 'object' then
        raise exception 'parameters must be a JSON object' using errcode = 'TT001';
    end if;
    select k into v_unknown from jsonb_object_keys(p_changes) k
    where k <> all (array['hedge_ratio', 'mean', 'deviation', 'entry', 'exit', 'stop', 'half_life_s',
                          'warm_up_s', 'max_gap_s', 'notional', 'max_holding_s', 'cool_down_s'])
    order by k limit 1;
    if v_unknown is not null then
        raise exception 'unknown parameter "%": use hedge_ratio, mean, deviation, entry, exit, stop, half_life_s, warm_up_s, max_gap_s, notional, max_holding_s, cool_down_s',
            v_unknown using errcode = 'TT001';
    end if;
    begin
        v := jsonb_populate_record(p_base, p_changes);
    exception when data_exception then
        raise exception 'a parameter is not a number: %', sqlerrm using errcode = 'TT001';
    end;
    -- The ranges keep every step within the range of its types; see signal.step_pairs.
    v_wrong := case
        when (abs(v.hedge_ratio) between 1e-3 and 50) is not true then 'hedge_ratio must be within ±50, and not zero'
        when not (coalesce(v.mean, 0) between -1e6 and 1e6) then 'mean must be finite'
        when (v.deviation between 1e-9 and 10) is not true then 'deviation must be from 1e-9 to 10'
        when (v.exit >= 0 and v.exit < v.entry and v.entry < v.stop and v.stop <= 1e6) is not true
            then 'exit, entry and stop must be 0 <= exit < entry < stop'
        when (v.half_life_s between 1e-3 and 1e9) is not true then 'half_life_s must be above zero'
        when (v.warm_up_s between 0 and 1e9) is not true then 'warm_up_s must not be negative'
        when (v.max_gap_s between 1e-3 and 1e9) is not true then 'max_gap_s must be above zero'
        when (v.notional between 1e-3 and 1e9) is not true then 'notional must be above zero, at most 1e9'
        when not (coalesce(v.max_holding_s, 1) between 1e-3 and 1e9) then 'max_holding_s must be above zero, or null for none'
        when not (coalesce(v.cool_down_s, 0) between 0 and 1e9) then 'cool_down_s must not be negative, or null for none'
    end;
    if v_wrong is not null then
        raise exception '%', v_wrong using errcode = 'TT001';
    end if;
    return v;
end
$$;
comment on function signal.read_parameters(signal.pairs_parameters, jsonb) is
    'Applies changes in JSON to parameters of the pairs strategy and checks every one; TT001 names the wrong one.';
grant execute on function signal.read_parameters(signal.pairs_parameters, jsonb) to tsdb_reader;
