-- What a run can know and trade at, per time and instrument: a mid, the two sides of a quote, and of bars
-- the open (at which a fill of the next bar is made), the volume, and the factor that carries prices
-- forward. Sources: the recorded quotes of a session, a grid of a feed's quotes, a grid of its minute
-- bars; backtest._read_daily is for daily bars. A bar's prices are its close on both sides, known when it ends.
create or replace function backtest._read_prices(
    p_run jsonb,
    p_instruments integer[],
    p_from timestamptz,
    p_to timestamptz
)
returns table (
    as_of timestamptz, instrument_id integer, mid double precision, bid double precision,
    ask double precision, open double precision, volume double precision, factor double precision
)
language plpgsql
stable
rows 50000
set search_path = pg_catalog, pg_temp
as $$
begin
    if p_run->>'source' = 'session' then
        return query
        select q.as_of, q.instrument_id, (q.bid_price + q.ask_price) / 2.0::float8 / i.price_unit,
               q.bid_price::float8 / i.price_unit, q.ask_price::float8 / i.price_unit,
               null::float8, null::float8, null::float8
        from market.batch_quotes q join ref.instruments i using (instrument_id)
        where q.session_id = (p_run->>'session_id')::uuid and q.instrument_id = any (p_instruments)
            and (p_from is null or q.as_of > p_from) and (p_to is null or q.as_of <= p_to);
    elsif p_run->>'source' = 'quotes' then
        return query
        select m.as_of, m.instrument_id, m.mid, m.bid_price, m.ask_price, null::float8, null::float8, null::float8
        from signal.read_mids(
            p_run->>'feed',
            array(select i.symbol from ref.instruments i where i.instrument_id = any (p_instruments)),
            p_from, p_to, (p_run->>'grid')::interval) m;
    else
        return query
        select g.as_of, g.instrument_id, g.closes[1], g.closes[1], g.closes[1], g.opens[1], g.volume, null::float8
        from (
            select k.as_of, b.instrument_id, sum(b.volume)::float8 as volume,
                   array_agg(b.close order by b.bucket desc) as closes, array_agg(b.open order by b.bucket) as opens
            from market.bars_1m b
            join ops.feeds f on f.feed_id = b.feed_id and f.feed = p_run->>'feed'
            cross join lateral (
                select public.time_bucket((p_run->>'grid')::interval, b.bucket, p_from)
                    + (p_run->>'grid')::interval as as_of) k
            where b.instrument_id = any (p_instruments) and b.bucket >= p_from and k.as_of <= p_to
                and b.close is not null
            group by k.as_of, b.instrument_id) g;
    end if;
end
$$;
comment on function backtest._read_prices(jsonb, integer[], timestamptz, timestamptz) is
    'The prices of a run from a session, quotes or minute bars.';
