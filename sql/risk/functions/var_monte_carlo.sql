-- Value at risk of positions (account currency) by simulation of jointly normal returns of mean zero, the draws
-- of risk.draw_normal: the same seed, the same answer. Up to 50 positions or factors; of more, the positions
-- are described by fewer factors first. Positions are linear here; what is not is revalued on the draws.
-- Errors: TT001 as risk.var_parametric and risk.draw_normal.
create or replace function risk.var_monte_carlo(
    p_positions double precision[],
    p_covariance double precision[][],
    p_confidence double precision,
    p_paths integer,
    p_seed bigint
) returns double precision
language plpgsql
immutable
as $$
declare
    v_n constant integer := cardinality(p_positions);
    v_l double precision[];
    v_weights double precision[];
    v_pnl double precision[];
begin
    perform risk._require_share(p_confidence, 'p_confidence');
    perform risk._variance(p_positions, risk._exposures(p_positions, p_covariance));
    perform risk._require_paths(v_n, p_paths, p_seed);
    v_l := risk._cholesky(p_covariance);
    -- Positions times L: a path then takes one product per factor.
    v_weights := array(
        select (select sum(p_positions[i] * v_l[i][k] order by i) from generate_series(1, v_n) i)
        from generate_series(1, v_n) k order by k);
    -- Path by path, in the order of the factors, so that nothing is sorted; offset 0 hashes each path once.
    v_pnl := array(
        select (
            select sum(w.weight * sqrt(-2 * ln(risk._uniform_of(p.hash, 2 * w.k)))
                * cos(2 * pi() * risk._uniform_of(p.hash, 2 * w.k + 1)))
            from unnest(v_weights) with ordinality as w (weight, k))
        from (
            select hashint8extended(n::bigint, p_seed) as hash from generate_series(1, p_paths) n offset 0) p);
    return risk.var_historical(v_pnl, p_confidence);
end
$$;
comment on function risk.var_monte_carlo(double precision[], double precision[], double precision, integer, bigint) is
    'Value at risk of up to 50 positions by simulation of normal returns; the same seed gives the same answer. Errors: TT001.';
grant execute on function risk.var_monte_carlo(double precision[], double precision[], double precision, integer, bigint)
    to tsdb_reader;
