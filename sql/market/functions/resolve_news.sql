-- Finds the instruments of symbols that were not registered when their headlines were stored;
-- returns how many headlines have one more. After symbols were registered.
create or replace function market.resolve_news()
returns bigint
language sql
security definer
set search_path = pg_catalog, pg_temp
as $$
    with found as (
        select n.ts, n.source_id, n.seq, array_agg(distinct i.instrument_id) as instrument_ids,
               array_agg(distinct i.symbol) as symbols
        from market.news n
        join ref.instruments i on i.symbol = any (n.unresolved)
        where n.unresolved <> '{}'
        group by n.ts, n.source_id, n.seq
    ),
    resolved as (
        update market.news n
        set instrument_ids = n.instrument_ids || f.instrument_ids,
            unresolved = array(
                select s.symbol from unnest(n.unresolved) s (symbol)
                where s.symbol <> all (f.symbols))
        from found f
        where n.ts = f.ts and n.source_id = f.source_id and n.seq = f.seq
        returning 1
    )
    select count(*) from resolved
$$;
comment on function market.resolve_news() is
    'Finds the instruments of symbols registered after their headlines were stored; returns how many headlines.';
grant execute on function market.resolve_news() to tsdb_ops;
