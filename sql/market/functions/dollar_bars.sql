-- Bars that close when p_dollars (price times size, in the instrument's currency) were traded, from
-- trades with p_from <= ts < p_to that count for volume; prices are of those that count for prices
-- (ref.trade_conditions). The trade that reaches the threshold belongs wholly to the bar it closes,
-- and the next bar starts from nothing (López de Prado 2018, Advances in Financial Machine
-- Learning, ch. 2). The last bar may not be complete. TT001: a threshold that is not above zero, an
-- empty span, or trades of several feeds and none named; TT002: an unknown instrument or feed.
create or replace function market.dollar_bars(
    p_instrument_id integer,
    p_from timestamptz,
    p_to timestamptz,
    p_dollars double precision,
    p_feed text default null
)
returns table (
    bar_no bigint, from_ts timestamptz, to_ts timestamptz, open double precision,
    high double precision, low double precision, close double precision, volume double precision,
    trade_count bigint, vwap double precision, notional double precision, complete boolean
)
language sql
stable
as $$
    select * from market._activity_bars(p_instrument_id, p_from, p_to, 'dollars', p_dollars::numeric, p_feed)
$$;
comment on function market.dollar_bars(integer, timestamptz, timestamptz, double precision, text) is
    'Bars of trades that close when p_dollars (price times size, in the instrument''s currency) were traded.';
grant execute on function market.dollar_bars(integer, timestamptz, timestamptz, double precision, text)
    to tsdb_reader;
