-- The hypertables behind a name of market.set_retention: quotes is market._quotes, bars_1s are the two
-- tables of that level. None for an unknown name.
create or replace function market._retained_tables(p_name text)
returns setof text
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
    select format('market.%I', h.hypertable_name)
    from timescaledb_information.hypertables h
    where h.hypertable_schema = 'market' and h.hypertable_name in (p_name, '_' || p_name)
        and not exists (select from market.rollups r where '_' || r.rollup = h.hypertable_name)
    union
    select format('market.%I', '_' || r.rollup)
    from market.rollups r
    where r.rollup in (p_name || '_trades', p_name || '_quotes')
$$;
