-- One step of the pairs strategy: state and input to the next state. Live trading, parity and every
-- backtest run this function and no other. Immutable: no clock, no table.
--
-- spread   ln(mid_a) - hedge_ratio * ln(mid_b).
-- mean     exponentially weighted mean of the spread in session time, half-life half_life_s. Between
--          two inputs the spread keeps its last value, so the mean never contains the spread it is
--          compared with, and inputs that change nothing do not change it.
-- z_score  (spread - mean) / deviation.
-- flat     |z| >= stop: too far to start, wait as after a stop. |z| >= entry: target = -sign(z),
--          event enter_short or enter_long (of the spread).
-- position z back at the exit threshold of the side it was entered on, or past it: target 0, event
--          exit. z at the stop or past it: target 0, event stop, and no entry until z has come back
--          to the exit threshold of that side (stopped keeps the side).
-- time stop  a position held for max_holding_s or longer: target 0, event time_stop, then as after a
--          stop. cool-down: no entry until cool_down_s after the last close. Null: neither. Time is session
--          time, nights included, and while the mean warms up nothing is closed either.
-- Every threshold includes its own value.
--
-- A null mid is a leg without news; the strategy starts when both are known. The mean starts at
-- parameters.mean, unless that is null or the first spread is at the entry threshold from it or
-- beyond: an old mean is no reason to trade. Then, and
-- when the older of both legs' last quotes is older than max_gap_s, it starts anew at the spread,
-- and for warm_up_s nothing is traded; a position is kept until then.
--
-- quantity_a = target * trunc(notional / mid_a), quantity_b = -target * trunc(notional * hedge_ratio
-- / mid_b), in units, fixed at the entry: the notional is that of leg A, and leg B's is the hedge
-- ratio times it. Where either would be zero there is no entry.
--
-- Input that cannot be right (no time, time going backwards, a mid that is not above zero and
-- finite) leaves the state as it was, without an event.
create or replace function signal.step_pairs(
    p_state signal.pairs_state,
    p_input signal.pairs_input,
    p_parameters signal.pairs_parameters
)
returns signal.pairs_state
language plpgsql
immutable
parallel safe
as $$
declare
    v signal.pairs_state := p_state;
    v_before double precision := p_state.spread;
    v_side double precision;
begin
    v.event := null;
    -- NaN sorts above infinity.
    if p_input.as_of is null or not isfinite(p_input.as_of) or p_input.as_of < v.as_of
        or (p_input.mid_a is null and p_input.mid_b is null)
        or p_input.mid_a <= 0 or p_input.mid_a >= 'infinity'
        or p_input.mid_b <= 0 or p_input.mid_b >= 'infinity'
    then
        return v;
    end if;

    v.mid_a := coalesce(p_input.mid_a, v.mid_a);
    v.mid_b := coalesce(p_input.mid_b, v.mid_b);
    v.spread := ln(v.mid_a) - p_parameters.hedge_ratio * ln(v.mid_b);
    if v_before is null then
        if v.spread is not null then
            v.target := 0;
            v.quantity_a := 0;
            v.quantity_b := 0;
            v.stopped := 0;
            v.mean := p_parameters.mean;
            if v.mean is null or abs(v.spread - v.mean) >= p_parameters.entry * p_parameters.deviation
            then
                v.mean := v.spread;
                v.warm_since := p_input.as_of;
            end if;
        end if;
    elsif date_part('epoch', p_input.as_of - least(v.as_of_a, v.as_of_b)) > p_parameters.max_gap_s then
        v.mean := v.spread;
        v.warm_since := p_input.as_of;
    else
        -- Bounded, because power() refuses to underflow.
        v.mean := v.mean + (v_before - v.mean) * (1 - power(2,
            -least(date_part('epoch', p_input.as_of - v.as_of) / p_parameters.half_life_s, 1000)));
    end if;
    v.as_of := p_input.as_of;
    v.as_of_a := case when p_input.mid_a is null then v.as_of_a else p_input.as_of end;
    v.as_of_b := case when p_input.mid_b is null then v.as_of_b else p_input.as_of end;
    v.z_score := (v.spread - v.mean) / p_parameters.deviation;

    if v.warm_since is not null then
        if date_part('epoch', v.as_of - v.warm_since) < p_parameters.warm_up_s then
            return v;
        end if;
        v.warm_since := null;
    end if;

    if v.target = 0 and v.stopped = 0 and abs(v.z_score) < p_parameters.entry
        and abs(v.z_score) < p_parameters.stop
    then
        -- Flat, and nothing to do: where most steps end.
        null;
    elsif v.target <> 0 then
        -- Positive while the spread is where the position was entered.
        v_side := -v.target * v.z_score;
        v.event := case
            when v_side >= p_parameters.stop then 'stop'
            when v_side <= p_parameters.exit then 'exit'
            when date_part('epoch', v.as_of - v.entered_at) >= p_parameters.max_holding_s then 'time_stop'
        end;
        if v.event is not null then
            v.stopped := case when v.event = 'exit' then 0 else -v.target end;
            v.target := 0;
            v.quantity_a := 0;
            v.quantity_b := 0;
            v.entered_at := null;
            -- Kept only for who asks for it, so that states of others are what they were before.
            v.closed_at := case when p_parameters.cool_down_s is not null then v.as_of end;
        end if;
    elsif v.stopped <> 0 then
        if v.stopped * v.z_score <= p_parameters.exit then
            v.stopped := 0;
        end if;
    elsif abs(v.z_score) >= p_parameters.stop then
        v.stopped := sign(v.z_score);
    elsif abs(v.z_score) >= p_parameters.entry
        and (date_part('epoch', v.as_of - v.closed_at) < p_parameters.cool_down_s) is not true
    then
        v_side := -sign(v.z_score);
        v.quantity_a := v_side * trunc(p_parameters.notional / v.mid_a);
        v.quantity_b := -v_side * trunc(p_parameters.notional * p_parameters.hedge_ratio / v.mid_b);
        if v.quantity_a <> 0 and v.quantity_b <> 0 then
            v.target := v_side;
            v.event := case when v_side > 0 then 'enter_long' else 'enter_short' end;
            v.entered_at := case when p_parameters.max_holding_s is not null then v.as_of end;
        else
            v.quantity_a := 0;
            v.quantity_b := 0;
        end if;
    end if;
    return v;
end
$$;
comment on function signal.step_pairs(
    signal.pairs_state, signal.pairs_input, signal.pairs_parameters) is
    'One step of the pairs strategy, immutable; a state with an event is a signal. The start is a null state.';
grant execute on function signal.step_pairs(
    signal.pairs_state, signal.pairs_input, signal.pairs_parameters) to tsdb_reader;

select signal._unfold_pairs();
comment on function signal._fold_pairs(
    timestamptz[], double precision[], double precision[], signal.pairs_parameters, boolean) is
    'signal.step_pairs over prices in order, NaN for none: the states with an event, or all.';
