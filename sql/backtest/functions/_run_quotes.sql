-- What a backtest steps on: per time and instrument a mid and the two prices a fill can get, from
-- the recorded quotes of a session, a grid of a feed's quotes, or a grid of its bars. A bar's
-- prices are its close on both sides; backtest.run adds the spread of the cost model.
create or replace function backtest._run_quotes(
    p_run jsonb,
    p_instruments integer[],
    p_from timestamptz,
    p_to timestamptz
)
returns table (
    as_of timestamptz, instrument_id integer, mid double precision, bid_price numeric, ask_price numeric
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
               q.bid_price / i.price_unit::numeric, q.ask_price / i.price_unit::numeric
        from market.batch_quotes q join ref.instruments i using (instrument_id)
        where q.session_id = (p_run->>'session_id')::uuid and q.instrument_id = any (p_instruments)
            and (p_from is null or q.as_of > p_from) and (p_to is null or q.as_of <= p_to);
    elsif p_run->>'source' = 'quotes' then
        return query
        select m.as_of, m.instrument_id, m.mid, m.bid_price::numeric, m.ask_price::numeric
        from signal.read_mids(
            p_run->>'feed',
            array(select i.symbol from ref.instruments i where i.instrument_id = any (p_instruments)),
            p_from, p_to, (p_run->>'grid')::interval) m;
    else
        -- A bar is known when its grid interval ends.
        return query
        select distinct on (g.as_of, b.instrument_id)
               g.as_of, b.instrument_id, b.close, b.close::numeric, b.close::numeric
        from market.bars_1m b
        join ops.feeds f on f.feed_id = b.feed_id and f.feed = p_run->>'feed'
        cross join lateral (
            select public.time_bucket((p_run->>'grid')::interval, b.bucket, p_from)
                + (p_run->>'grid')::interval as as_of) g
        where b.instrument_id = any (p_instruments) and b.bucket >= p_from and g.as_of <= p_to
            and b.close is not null
        order by g.as_of, b.instrument_id, b.bucket desc;
    end if;
end
$$;
comment on function backtest._run_quotes(jsonb, integer[], timestamptz, timestamptz) is
    'The inputs of a backtest from a session, quotes or bars.';
