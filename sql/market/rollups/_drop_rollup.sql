-- Drops a rollup with those computed from it, the highest level first, as TimescaleDB wants it, and
-- the views that show them.
create or replace function market._drop_rollup(p_rollup text)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    v_rollup market.rollups;
begin
    for v_rollup in
        with recursive higher as (
            select r.* from market.rollups r where r.rollup = p_rollup
            union all
            select r.* from higher h
            join market.rollups r on r.source = format('market.%I', '_' || h.rollup)
        )
        select * from higher h order by h.level desc
    loop
        execute format('drop %s market.%I cascade',
                       case when v_rollup.native then 'materialized view' else 'table' end,
                       '_' || v_rollup.rollup);
        delete from market.rollups r where r.rollup = v_rollup.rollup;
    end loop;
end
$$;
