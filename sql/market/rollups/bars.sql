-- Bars of 1 second, 1 minute, 5 minutes, 1 hour and 1 day of trades and quotes, each level computed
-- from the one below, in exact integers, so that it equals what the ticks themselves would give.
--
-- Trades: those marked suspicious or cancelled count for nothing; the others for what their
-- conditions say (ref.condition_flags). Quotes: usable are those with both sides above zero and not
-- crossed (locked ones count, with a spread of 0); spread, mid and imbalance are of usable quotes. A
-- spread holds until the next usable quote in the bucket, the last one until the bucket ends; before
-- the first one there is none. Open and close follow the total order of ticks. A day is New York's.
do $do$
declare
    v_level record;
    v_keys text := 'instrument_id, feed_id';
    v_last text := 'flags & 148 = 0';      -- 4 suspicious, 16 not last, 128 cancelled
    v_range text := 'flags & 164 = 0';     -- 32 not high or low
    v_volume text := 'flags & 196 = 0';    -- 64 not volume
    -- The bound keeps the sum of both within 64 bits.
    v_usable text := 'bid_price > 0 and bid_price <= ask_price and ask_price < 4611686018427387904';
    v_sized text := 'bid_size is not null and ask_size is not null';
    v_trades text := $$
        (array_agg(price order by ts, ns, source_id, seq) filter (where $last))[1] as open,
        max(price) filter (where $range) as high,
        min(price) filter (where $range) as low,
        (array_agg(price order by ts desc, ns desc, source_id desc, seq desc)
            filter (where $last))[1] as close,
        coalesce(sum(size) filter (where $volume), 0) as volume,
        count(*) filter (where $volume) as trade_count,
        coalesce(sum(price::numeric * size) filter (where $volume), 0) as notional $$;
    v_quotes text := $$
        count(*) as quote_count,
        count(*) filter (where $usable) as usable_count,
        sum(ask_price - bid_price) filter (where $usable) as spreads,
        (array_agg(bid_price + ask_price order by ts, ns, source_id, seq)
            filter (where $usable))[1] as mid_open,
        (array_agg(bid_price + ask_price order by ts desc, ns desc, source_id desc, seq desc)
            filter (where $usable))[1] as mid_close,
        sum(bid_size) filter (where $usable and $sized) as bid_sizes,
        sum(ask_size) filter (where $usable and $sized) as ask_sizes,
        min(ts) filter (where $usable) as first_ts,
        max(ts) filter (where $usable) as last_ts,
        (array_agg(ask_price - bid_price order by ts desc, ns desc, source_id desc, seq desc)
            filter (where $usable))[1] as last_spread,
        market._weigh_spreads(
            array_agg(ts order by ts, ns, source_id, seq) filter (where $usable),
            array_agg(ts order by ts, ns, source_id, seq) filter (where $usable),
            array_agg(ask_price - bid_price order by ts, ns, source_id, seq)
                filter (where $usable)) as weighted $$;
    v_trades_of_bars text := $$
        (array_agg(open order by bucket) filter (where open is not null))[1] as open,
        max(high) as high,
        min(low) as low,
        (array_agg(close order by bucket desc) filter (where close is not null))[1] as close,
        sum(volume) as volume,
        sum(trade_count)::bigint as trade_count,
        sum(notional) as notional $$;
    v_quotes_of_bars text := $$
        sum(quote_count)::bigint as quote_count,
        sum(usable_count)::bigint as usable_count,
        sum(spreads) as spreads,
        (array_agg(mid_open order by bucket) filter (where usable_count > 0))[1] as mid_open,
        (array_agg(mid_close order by bucket desc) filter (where usable_count > 0))[1] as mid_close,
        sum(bid_sizes) as bid_sizes,
        sum(ask_sizes) as ask_sizes,
        min(first_ts) as first_ts,
        max(last_ts) as last_ts,
        (array_agg(last_spread order by bucket desc)
            filter (where usable_count > 0))[1] as last_spread,
        sum(weighted) + market._weigh_spreads(
            array_agg(first_ts order by bucket) filter (where usable_count > 0),
            array_agg(last_ts order by bucket) filter (where usable_count > 0),
            array_agg(last_spread order by bucket) filter (where usable_count > 0)) as weighted $$;
begin
    v_trades := replace(replace(replace(
        v_trades, '$last', v_last), '$range', v_range), '$volume', v_volume);
    v_quotes := replace(replace(v_quotes, '$usable', v_usable), '$sized', v_sized);
    for v_level in
        select * from (values
            ('bars_1s', null, interval '1 second', 'UTC'),
            ('bars_1m', 'bars_1s', interval '1 minute', 'UTC'),
            ('bars_5m', 'bars_1m', interval '5 minutes', 'UTC'),
            ('bars_1h', 'bars_5m', interval '1 hour', 'UTC'),
            ('bars_1d', 'bars_1h', interval '1 day', 'America/New_York')
        ) l (bars, source, bucket, timezone)
    loop
        perform market.declare_rollup(
            v_level.bars || '_trades',
            coalesce('market._' || v_level.source || '_trades', 'market._trades'),
            v_level.bucket, v_keys,
            case when v_level.source is null then v_trades else v_trades_of_bars end,
            v_level.timezone);
        perform market.declare_rollup(
            v_level.bars || '_quotes',
            coalesce('market._' || v_level.source || '_quotes', 'market._quotes'),
            v_level.bucket, v_keys,
            case when v_level.source is null then v_quotes else v_quotes_of_bars end,
            v_level.timezone);
        -- Grouped instead of joined, so that the planner takes conditions on instrument and bucket
        -- down to both sides; each side has one row at most.
        execute format($view$
            create or replace view market.%1$I as
            select b.instrument_id, b.bucket,
                   b.open / i.price_unit as open,
                   b.high / i.price_unit as high,
                   b.low / i.price_unit as low,
                   b.close / i.price_unit as close,
                   coalesce(b.volume, 0)::double precision / i.size_unit as volume,
                   coalesce(b.trade_count, 0) as trade_count,
                   (b.notional / nullif(b.volume, 0))::double precision / i.price_unit as vwap,
                   b.feed_id,
                   coalesce(b.quote_count, 0) as quote_count,
                   (b.spreads / b.usable_count)::double precision / i.price_unit as mean_spread,
                   ((b.weighted + b.last_spread * e.after_us) / (e.between_us + e.after_us))
                       ::double precision / i.price_unit as time_weighted_spread,
                   b.mid_open / 2.0::double precision / i.price_unit as mid_open,
                   b.mid_close / 2.0::double precision / i.price_unit as mid_close,
                   ((b.bid_sizes - b.ask_sizes) / nullif(b.bid_sizes + b.ask_sizes, 0))
                       ::double precision as imbalance
            from (
                select u.instrument_id, u.feed_id, u.bucket,
                       max(u.open) as open, max(u.high) as high, max(u.low) as low,
                       max(u.close) as close, max(u.volume) as volume,
                       max(u.trade_count) as trade_count, max(u.notional) as notional,
                       max(u.quote_count) as quote_count,
                       nullif(max(u.usable_count), 0) as usable_count,
                       max(u.spreads) as spreads, max(u.mid_open) as mid_open,
                       max(u.mid_close) as mid_close, max(u.bid_sizes) as bid_sizes,
                       max(u.ask_sizes) as ask_sizes, max(u.first_ts) as first_ts,
                       max(u.last_ts) as last_ts, max(u.last_spread) as last_spread,
                       max(u.weighted) as weighted
                from (
                    select t.instrument_id, t.feed_id, t.bucket, t.open, t.high, t.low, t.close,
                           t.volume, t.trade_count, t.notional, null::bigint as quote_count,
                           null::bigint as usable_count, null::numeric as spreads,
                           null::bigint as mid_open, null::bigint as mid_close,
                           null::numeric as bid_sizes, null::numeric as ask_sizes,
                           null::timestamptz as first_ts, null::timestamptz as last_ts,
                           null::bigint as last_spread, null::numeric as weighted
                    from market.%2$I t
                    union all
                    select q.instrument_id, q.feed_id, q.bucket, null, null, null, null,
                           null, null, null, q.quote_count,
                           q.usable_count, q.spreads, q.mid_open, q.mid_close,
                           q.bid_sizes, q.ask_sizes, q.first_ts, q.last_ts,
                           q.last_spread, q.weighted
                    from market.%3$I q
                ) u
                group by u.instrument_id, u.feed_id, u.bucket
            ) b
            join ref.instruments i on i.instrument_id = b.instrument_id
            cross join lateral (
                select extract(epoch from b.last_ts - b.first_ts) * 1000000 as between_us,
                       extract(epoch from market._bucket_end(b.bucket, %4$L, %5$L) - b.last_ts)
                           * 1000000 as after_us
            ) e
            $view$,
            v_level.bars, '_' || v_level.bars || '_trades_current',
            '_' || v_level.bars || '_quotes_current', v_level.bucket, v_level.timezone);
        execute format(
            'grant select on market.%I to tsdb_reader',
            v_level.bars);
    end loop;
end
$do$;
comment on view market.bars_1s is
    'One-second bars of trades and quotes, with the columns of market.bars_1m.';
comment on view market.bars_1m is
    'One-minute bars: decimals, volume in units, bucket is the start. Trades count as their conditions say; prices are null where none did, spreads, mids and imbalance where no quote was usable. imbalance: (bid sizes - ask sizes) / (bid sizes + ask sizes), added up over quotes. Select by instrument_id and bucket.';
comment on column market.bars_1m.vwap is 'Weighted by size, over the trades that count for volume.';
comment on column market.bars_1m.quote_count is 'All quotes, also those that are not usable.';
comment on column market.bars_1m.time_weighted_spread is
    'Each spread weighs until the next usable quote in the bucket, the last until the bucket''s end.';
comment on view market.bars_5m is
    'Five-minute bars of trades and quotes, with the columns of market.bars_1m.';
comment on view market.bars_1h is
    'One-hour bars of trades and quotes, with the columns of market.bars_1m.';
comment on view market.bars_1d is
    'Bars of New York''s days, midnight to midnight, with the columns of market.bars_1m.';
