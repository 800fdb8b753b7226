-- The points of a grid of parameters: every combination of its values, in the order of its keys.
create or replace function backtest.sweep_points(p_grid jsonb)
returns setof jsonb
language sql
immutable
set search_path = pg_catalog, pg_temp
as $$
    with recursive axes as (
        select g.key, g.value, row_number() over (order by g.key collate "C") as n from jsonb_each(p_grid) g
    ),
    points as (
        select 0::bigint as n, '{}'::jsonb as point, '{}'::bigint[] as place
        union all
        select a.n, p.point || jsonb_build_object(a.key, v.value), p.place || v.place
        from points p
        join axes a on a.n = p.n + 1
        cross join lateral jsonb_array_elements(a.value) with ordinality v (value, place)
    )
    select p.point from points p where p.n = (select max(a.n) from axes a) order by p.place
$$;
comment on function backtest.sweep_points(jsonb) is 'Every combination of the values of a grid.';
grant execute on function backtest.sweep_points(jsonb) to tsdb_reader;
