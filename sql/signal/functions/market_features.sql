-- Features of daily bars against the market that became known in (p_from, p_to]: 1 relative_1d, 2 relative_5d:
-- the simple return over so many bars less its mean over all instruments with a bar of that date, each return
-- to 1e-12. Known when the last of these bars is. Bars and nulls as in signal.daily_features. p_instruments
-- null: all. Errors: TT001 bars of several feeds.
create or replace function signal.market_features(
    p_instruments integer[],
    p_from timestamptz,
    p_to timestamptz
)
returns table (as_of timestamptz, instrument_id integer, features double precision[])
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
set work_mem = '64MB'
as $$
    with moves as (
        select h.instrument_id, h.date, h.known_at,
               case when h.date - lag(h.date) over run <= 12
                   then ((exp((h.price - lag(h.price) over run) / 1e15::float8) - 1) * 1e12::float8)::bigint end as return_1,
               case when h.date - lag(h.date, 5) over run <= 20
                   then ((exp((h.price - lag(h.price, 5) over run) / 1e15::float8) - 1) * 1e12::float8)::bigint end as return_5
        from signal._daily_history(null, p_from, p_to) h
        window run as (partition by h.instrument_id, h.run order by h.date)
    ),
    markets as (
        select m.date, max(m.known_at) as known_at,
               avg(m.return_1)::float8 as return_1, avg(m.return_5)::float8 as return_5
        from moves m
        group by m.date
    )
    -- Of several dates that became known together, the last one tells.
    select distinct on (m.instrument_id, k.known_at) k.known_at, m.instrument_id,
           array[(m.return_1 - k.return_1) / 1e12::float8, (m.return_5 - k.return_5) / 1e12::float8]
    from moves m
    join markets k using (date)
    where (p_instruments is null or m.instrument_id = any (p_instruments))
        and k.known_at > p_from and k.known_at <= p_to
    order by m.instrument_id, k.known_at, m.date desc
$$;
comment on function signal.market_features(integer[], timestamptz, timestamptz) is
    'Returns of daily bars less the mean of all instruments, known in a window. Errors: TT001.';
grant execute on function signal.market_features(integer[], timestamptz, timestamptz)
    to tsdb_reader, tsdb_worker_signals, tsdb_worker_scheduler;
