-- Keeps the draws of a seed, which many simulations are made of: one more factor than the settings have.
-- They are those of risk.draw_normal for factors without correlation.
create or replace function risk._prepare_normals(p_settings risk.var_settings)
returns void
language sql
as $$
    delete from risk._normals n where (n.seed, n.paths) <> (p_settings.seed, p_settings.paths);
    insert into risk._normals (seed, paths, factor, packed)
    select p_settings.seed, p_settings.paths, f.k,
        risk._pack(array(
            select risk._normal(p_settings.seed, path, f.k)
            from pg_catalog.generate_series(1, p_settings.paths) path order by path))
    from pg_catalog.generate_series(1, p_settings.factors + 1) as f (k)
    where not exists (
        select from risk._normals n
        where n.seed = p_settings.seed and n.paths = p_settings.paths and n.factor = f.k)
$$;
comment on function risk._prepare_normals(risk.var_settings) is 'Keeps the draws that simulations of the settings use.';
