-- One step of the strategy s_score (Avellaneda and Lee 2010, "Statistical arbitrage in the US equities
-- market", section 3 and appendix): legs A and B, B the factor. Immutable: no clock, no table.
--
-- sample     a mid of both legs every sample_s seconds of session time or later; only samples decide.
-- returns    simple ones between samples, the last `window` of them (the paper: 60 days).
-- residual   of the regression of A's returns on B's over the window; X is its running sum.
-- fit        X(k+1) = a + b X(k) + z by least squares, 0 < b < 1; reversion = -1 / ln b samples, the paper's
--            1 / kappa; mean = a / (1 - b); deviation = sqrt(var(z) / (1 - b^2)), var over the window's
--            points. No fit: B or A constant, both collinear (the residual has less than 1e-12 of A's
--            variance), or b outside of (0, 1).
-- score      (X - mean) / deviation at the last sample. Drift is not corrected for.
-- entry      flat, reversion <= max_reversion (the paper: half the window): score <= -entry buys A and
--            sells beta times as much of B, event enter_long; score >= entry the reverse, enter_short.
-- exit       long: score >= -exit_long; short: score <= exit_short. No fit any more: event no_fit, flat.
-- The paper opens at 1.25 and closes a long position at 0.50, a short one at 0.75.
--
-- quantities = side * trunc(notional / mid_a), -side * trunc(notional * beta / mid_b), fixed at the
-- entry; where either would be zero there is no entry. Every threshold includes its own value. Input
-- that cannot be right leaves the state as it was. Features are not used.
create or replace function signal.step_s_score(
    p_state signal.s_score_state,
    p_input signal.step_input,
    p_parameters signal.s_score_parameters
)
returns signal.s_score_state
language plpgsql
immutable
parallel safe
as $$
declare
    v signal.s_score_state := p_state;
    v_side double precision;
    v_first integer;
    v_fit double precision[];
begin
    v.event := null;
    v.target := coalesce(v.target, 0);
    v.quantities := coalesce(v.quantities, '{0,0}');
    -- NaN sorts above infinity.
    if p_input.as_of is null or not isfinite(p_input.as_of) or p_input.as_of < v.as_of
        or cardinality(p_input.mids) is distinct from 2
        or p_input.mids[1] <= 0 or p_input.mids[1] >= 'infinity'
        or p_input.mids[2] <= 0 or p_input.mids[2] >= 'infinity'
    then
        return v;
    end if;
    v.as_of := p_input.as_of;
    v.mid_a := coalesce(p_input.mids[1], v.mid_a);
    v.mid_b := coalesce(p_input.mids[2], v.mid_b);
    if v.mid_a is null or v.mid_b is null
        or date_part('epoch', v.as_of - v.sampled_at) < p_parameters.sample_s
    then
        return v;
    end if;
    if v.sampled_at is not null then
        v_first := greatest(cardinality(v.returns_a) + 2 - p_parameters."window", 1);
        v.returns_a := v.returns_a[v_first:] || (v.mid_a / v.sample_a - 1);
        v.returns_b := v.returns_b[v_first:] || (v.mid_b / v.sample_b - 1);
    else
        v.returns_a := '{}';
        v.returns_b := '{}';
    end if;
    v.sampled_at := v.as_of;
    v.sample_a := v.mid_a;
    v.sample_b := v.mid_b;
    if cardinality(v.returns_a) < p_parameters."window" then
        return v;
    end if;
    v_fit := signal.fit_s_score(v.returns_a, v.returns_b);
    v.beta := v_fit[1];
    v.reversion := v_fit[2];
    v.mean := v_fit[3];
    v.deviation := v_fit[4];
    v.score := v_fit[5];

    if v.target <> 0 then
        if v.score is null
            or v.target > 0 and v.score >= -p_parameters.exit_long
            or v.target < 0 and v.score <= p_parameters.exit_short
        then
            v.event := case when v.score is null then 'no_fit' else 'exit' end;
            v.target := 0;
            v.quantities := '{0,0}';
        end if;
    elsif abs(v.score) >= p_parameters.entry and v.reversion <= p_parameters.max_reversion then
        v_side := -sign(v.score);
        v.quantities := array[
            v_side * trunc(p_parameters.notional / v.mid_a),
            -v_side * trunc(p_parameters.notional * v.beta / v.mid_b)]::bigint[];
        if v.quantities[1] <> 0 and v.quantities[2] <> 0 then
            v.target := v_side;
            v.event := case when v_side > 0 then 'enter_long' else 'enter_short' end;
        else
            v.quantities := '{0,0}';
        end if;
    end if;
    return v;
end
$$;
comment on function signal.step_s_score(
    signal.s_score_state, signal.step_input, signal.s_score_parameters) is
    'One step of mean reversion by s-score (Avellaneda and Lee 2010), immutable.';
grant execute on function signal.step_s_score(
    signal.s_score_state, signal.step_input, signal.s_score_parameters) to tsdb_reader;
