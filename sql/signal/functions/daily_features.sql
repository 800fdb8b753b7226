-- Features of daily bars that became known in (p_from, p_to], one row per instrument and bar:
--   1 return_1d, 2 return_5d, 3 return_20d, 4 return_60d: simple returns over so many bars;
--   5 volatility_20d: sample standard deviation of the last 20 daily log returns, each to 1e-9;
--   6 volume_z_20d: log volume, to 1e-6, less its mean over the last 20 bars, in sample standard deviations;
--   7 distance_20d: log close less the mean log close of the last 20 bars;
--   8 rsi_14d: 100 times the sum of the positive log returns of the last 14 bars over the sum of all without
--     their signs (Cutler's form of Wilder's index, which forgets; it needs no start);
--   9 gap_1d: open over the close before, less 1; 10 range_1d: high less low, over the close.
-- Prices are adjusted forward for corporate actions, volumes for splits. A feature is null where a bar or a
-- value that it needs is missing, and where n bars span more than 2 n + 10 days. A row is known when its bar
-- and those before it are. Equal for every window that has the row, bit by
-- bit. p_instruments null: all. Errors: TT001 bars of several feeds.
create or replace function signal.daily_features(
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
        select h.*, h.price - lag(h.price) over run as move, h.date - lag(h.date) over run as days,
               (ln(nullif(h.volume, 0)::float8) * 1e6::float8)::integer - h.shares as log_volume
        from signal._daily_history(p_instruments, p_from, p_to) h
        window run as (partition by h.instrument_id, h.run order by h.date)
    ),
    -- Sums of integers slide along with the window, where floats are added up again at every row.
    summed as (
        select m.*, m.price - lag(m.price, 5) over run as move_5, m.date - lag(m.date, 5) over run as days_5,
               m.price - lag(m.price, 20) over run as move_20, m.date - lag(m.date, 20) over run as days_20,
               m.price - lag(m.price, 60) over run as move_60, m.date - lag(m.date, 60) over run as days_60,
               m.date - lag(m.date, 14) over run as days_14, m.date - lag(m.date, 19) over run as days_19,
               count(m.log_volume) over last_20 as volumes,
               sum(m.log_volume) over last_20 as volume_sum,
               sum(m.log_volume::bigint * m.log_volume) over last_20 as volume_squares,
               sum(m.price) over last_20 as price_sum,
               count(x.nanos) over last_20 as moves,
               sum(x.nanos) over last_20 as move_sum,
               sum(x.nanos * x.nanos) over last_20 as move_squares,
               sum(greatest(m.move, 0)) over last_14 as gains,
               sum(abs(m.move)) over last_14 as moved
        from moves m
        cross join lateral (select case when abs(m.move) < 2e15 then (m.move / 1e6::float8)::bigint end as nanos) x
        window run as (partition by m.instrument_id, m.run order by m.date),
            last_20 as (run rows 19 preceding),
            last_14 as (run rows 13 preceding)
    )
    select m.known_at, m.instrument_id, array[
        case when m.days <= 12 then exp(m.move / 1e15::float8) - 1 end,
        case when m.days_5 <= 20 then exp(m.move_5 / 1e15::float8) - 1 end,
        case when m.days_20 <= 50 then exp(m.move_20 / 1e15::float8) - 1 end,
        case when m.days_60 <= 130 then exp(m.move_60 / 1e15::float8) - 1 end,
        case when m.days_20 <= 50 and m.moves = 20
            then sqrt((20 * m.move_squares - m.move_sum * m.move_sum)::float8 / 380) / 1e9::float8 end,
        case when m.days_19 <= 50 and m.volumes = 20
            then (20 * m.log_volume::bigint - m.volume_sum)::float8 / 20
                / nullif(sqrt((20 * m.volume_squares - m.volume_sum::numeric * m.volume_sum)::float8 / 380), 0) end,
        case when m.days_19 <= 50 then (20 * m.price::numeric - m.price_sum)::float8 / 2e16::float8 end,
        case when m.days_14 <= 38 then 100 * m.gains::float8 / nullif(m.moved::float8, 0) end,
        case when m.days <= 12 then m.open / m.last_close - 1 end,
        (m.high - m.low) / m.close]
    from (
        select s.*, lead(s.known_at) over (partition by s.instrument_id order by s.date) as next_known from summed s
    ) m
    -- Of several bars that became known together, the last one tells.
    where m.known_at > p_from and m.known_at <= p_to and m.known_at is distinct from m.next_known
$$;
comment on function signal.daily_features(integer[], timestamptz, timestamptz) is
    'Features of daily bars known in a window: returns, volatility, volume, distance, RSI, gap, range. Errors: TT001.';
grant execute on function signal.daily_features(integer[], timestamptz, timestamptz)
    to tsdb_reader, tsdb_worker_signals, tsdb_worker_scheduler;
