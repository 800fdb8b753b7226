-- Draws of jointly normal returns of mean zero: a row per path (from 1), a return per factor. The same seed
-- gives the same draws. To revalue what is not linear:
-- select risk.var_historical(array_agg(f(d.draws)), 0.99) from risk.draw_normal(...) d.
-- Errors: TT001 more than 50 factors, no seed, no paths, no covariance.
create or replace function risk.draw_normal(p_covariance double precision[][], p_paths integer, p_seed bigint)
returns table (path integer, draws double precision[])
language plpgsql
immutable
as $$
declare
    v_n constant integer := coalesce(array_length(p_covariance, 1), 0);
    v_l double precision[];
begin
    perform risk._exposures(array_fill(1::double precision, array[v_n]), p_covariance);
    perform risk._require_paths(v_n, p_paths, p_seed);
    v_l := risk._cholesky(p_covariance);
    return query
        with triangle as materialized (
            select i, k, v_l[i][k] as weight
            from generate_series(1, v_n) i cross join generate_series(1, v_n) k where k <= i),
        -- Box and Muller 1958.
        normals as (
            select p.path, k.k, sqrt(-2 * ln(risk._uniform(p_seed, p.path, 2 * k.k)))
                * cos(2 * pi() * risk._uniform(p_seed, p.path, 2 * k.k + 1)) as z
            from generate_series(1, p_paths) as p (path) cross join generate_series(1, v_n) as k (k)),
        returns as (
            select n.path, t.i, sum(t.weight * n.z order by t.k) as draw
            from normals n join triangle t using (k)
            group by n.path, t.i)
        select r.path, array_agg(r.draw order by r.i) from returns r group by r.path order by r.path;
end
$$;
comment on function risk.draw_normal(double precision[], integer, bigint) is
    'Draws of jointly normal returns of mean zero, a row per path; the same seed gives the same draws. Errors: TT001.';
grant execute on function risk.draw_normal(double precision[], integer, bigint) to tsdb_reader;
