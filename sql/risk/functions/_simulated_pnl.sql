-- P&L of each path of the settings' simulation: factors of variance 1 that are not correlated, with these
-- loadings, and a rest of this standard deviation as one more factor; the draws of risk.draw_normal.
create or replace function risk._simulated_pnl(
    p_factors double precision[], p_rest double precision, p_settings risk.var_settings)
returns double precision[]
language sql
stable
as $$
    with weights as (
        select weight, k, pg_catalog.sum(pg_catalog.abs(weight)) over () as gross
        from pg_catalog.unnest(p_factors || p_rest) with ordinality as u (weight, k))
    select risk._unpack(
        pg_catalog.sum(n.packed * pg_catalog.round((w.weight / coalesce(nullif(w.gross, 0), 1) * 1e12)::numeric)),
        p_settings.paths, coalesce(nullif(pg_catalog.min(w.gross), 0), 1) / 1e12)
    from weights w
    join risk._normals n on n.seed = p_settings.seed and n.paths = p_settings.paths and n.factor = w.k
$$;
comment on function risk._simulated_pnl(double precision[], double precision, risk.var_settings) is
    'P&L of each path of a simulation by factors.';
