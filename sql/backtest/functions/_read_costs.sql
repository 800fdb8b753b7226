-- The cost model of a run: that of p_costs, with the keys of p_changes in place of its own.
-- Errors: TT002 unknown model, TT001 a key that is none or a value that cannot be.
create or replace function backtest._read_costs(p_costs text, p_changes jsonb)
returns backtest.cost_models
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
    c_keys constant text[] := array['spread_share', 'bar_half_spread_bps', 'fee_per_share', 'fee_bps', 'fee_minimum',
                                    'slippage_bps', 'impact_coefficient', 'impact_exponent', 'impact_days'];
    v_models constant text[] := array(select m.cost_model from backtest.cost_models m order by 1);
    v backtest.cost_models;
    v_wrong text;
begin
    select * into v from backtest.cost_models m where m.cost_model = p_costs;
    if not found then
        raise exception 'unknown cost model "%"%: use %', p_costs, ref._did_you_mean(p_costs, v_models),
            array_to_string(v_models, ', ') using errcode = 'TT002';
    elsif jsonb_typeof(p_changes) <> 'object' then
        raise exception 'costs must be a JSON object of %', array_to_string(c_keys, ', ') using errcode = 'TT001';
    end if;
    select k into v_wrong from jsonb_object_keys(p_changes) k where k <> all (c_keys) order by 1 limit 1;
    if v_wrong is not null then
        raise exception 'unknown key "%" in costs%: use %', v_wrong, ref._did_you_mean(v_wrong, c_keys),
            array_to_string(c_keys, ', ') using errcode = 'TT001';
    end if;
    begin
        v := jsonb_populate_record(v, p_changes);
    exception when data_exception then
        raise exception 'a value in costs is not a number: %', sqlerrm using errcode = 'TT001';
    end;
    v_wrong := case
        when num_nulls(v.spread_share, v.bar_half_spread_bps, v.fee_per_share, v.fee_bps, v.fee_minimum,
                       v.slippage_bps, v.impact_coefficient, v.impact_exponent, v.impact_days) > 0
            then 'none may be null'
        -- NaN sorts above infinity.
        when least(v.spread_share, v.bar_half_spread_bps, v.fee_per_share, v.fee_bps, v.fee_minimum,
                   v.slippage_bps, v.impact_coefficient) < 0
            or greatest(v.spread_share, v.bar_half_spread_bps, v.fee_per_share, v.fee_bps, v.fee_minimum,
                        v.slippage_bps, v.impact_coefficient) >= 'infinity'
            then 'none may be below zero, and each must be finite'
        when v.impact_exponent not between 0.1 and 1 then 'impact_exponent must be from 0.1 to 1'
        when v.impact_days not between 2 and 60 then 'impact_days must be from 2 to 60'
    end;
    if v_wrong is not null then
        raise exception 'costs: %', v_wrong using errcode = 'TT001';
    end if;
    return v;
end
$$;
comment on function backtest._read_costs(text, jsonb) is 'A cost model with changes in JSON applied.';
