-- The parts of risk.var_parametric, a row per position, i from 1. marginal: change of the whole's VaR per unit
-- of position; component: position times marginal, which add up to the whole (Jorion, Value at Risk);
-- incremental: the whole's VaR less the VaR without the position, by full revaluation. Where the whole has
-- no risk marginal and component are 0. Errors as in risk.var_parametric.
create or replace function risk.var_components(
    p_positions double precision[],
    p_covariance double precision[][],
    p_confidence double precision
) returns table (i integer, marginal double precision, component double precision, incremental double precision)
language plpgsql
immutable
parallel safe
as $$
declare
    v_exposures double precision[];
    v_variance double precision;
    v_quantile double precision;
begin
    perform risk._require_share(p_confidence, 'p_confidence');
    v_exposures := risk._exposures(p_positions, p_covariance);
    v_variance := risk._variance(p_positions, v_exposures);
    v_quantile := risk._normal_quantile(p_confidence);
    return query
        select u.n::integer,
            case when v_variance = 0 then 0 else v_quantile * u.exposure / sqrt(v_variance) end,
            case when v_variance = 0 then 0 else v_quantile * u.position * u.exposure / sqrt(v_variance) end,
            v_quantile * (sqrt(v_variance) - sqrt(greatest(0, v_variance - 2 * u.position * u.exposure
                + u.position ^ 2 * p_covariance[u.n][u.n])))
        from unnest(p_positions, v_exposures) with ordinality as u (position, exposure, n);
end
$$;
comment on function risk.var_components(double precision[], double precision[], double precision) is
    'Marginal, component and incremental VaR of each position; components add up to risk.var_parametric. Errors: TT001.';
grant execute on function risk.var_components(double precision[], double precision[], double precision)
    to tsdb_reader;
