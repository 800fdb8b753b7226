-- An instrument's daily bars in decimals, one per trading date, from p_from to p_to.
--
-- p_bars vendor: as loaded (market.source_bars, resolution 1d, side trade), of one feed; ticks: our
-- own, from market.bars_1d. p_feed null: the only feed that has any. Raises TT001 when there are
-- several, TT002 for an unknown feed.
create or replace function market._daily_bars(
    p_instrument_id integer, p_from date, p_to date, p_feed text, p_bars text
)
returns table (
    date date, open numeric, high numeric, low numeric, close numeric, volume numeric
)
language plpgsql
stable
as $$
#variable_conflict use_column
declare
    v_feeds text[];
    v_feed_id integer;
    -- A bar starts at midnight of its date in its market's time zone: twelve hours later it is that
    -- date in UTC too, wherever the market is.
    v_from timestamptz := (p_from - 1)::timestamp at time zone 'UTC';
    v_to timestamptz := (p_to + 1)::timestamp at time zone 'UTC';
begin
    if p_bars = 'vendor' then
        select array_agg(f.feed order by f.feed) into v_feeds
        from ops.feeds f
        where exists (
            select from market._source_bars b
            where b.instrument_id = p_instrument_id and b.resolution = '1d' and b.side = 'trade'
                and b.feed_id = f.feed_id);
    else
        select array_agg(f.feed order by f.feed) into v_feeds
        from ops.feeds f
        where exists (
            select from market.sources s
            where s.instrument_id = p_instrument_id and s.kind = 'trades'
                and s.feed_id = f.feed_id);
    end if;
    if p_feed is null and cardinality(v_feeds) > 1 then
        raise exception 'feeds % have daily bars of instrument %: name one with p_feed',
            array_to_string(v_feeds, ', '), p_instrument_id using errcode = 'TT001';
    end if;
    select f.feed_id into v_feed_id from ops.feeds f where f.feed = coalesce(p_feed, v_feeds[1]);
    if v_feed_id is null and p_feed is not null then
        raise exception 'unknown feed %', p_feed using errcode = 'TT002';
    end if;
    if p_bars = 'vendor' then
        -- Of two bars of a date the one loaded last counts.
        return query
        select distinct on (x.date) x.date, round(b.open / x.price_unit, x.price_scale),
               round(b.high / x.price_unit, x.price_scale),
               round(b.low / x.price_unit, x.price_scale),
               round(b.close / x.price_unit, x.price_scale),
               round(b.volume / x.size_unit, x.size_scale)
        from market._source_bars b
        join ref.instruments i on i.instrument_id = b.instrument_id
        cross join lateral (
            select ((b.ts + interval '12 hours') at time zone 'UTC')::date as date,
                   i.price_scale::integer, i.size_scale::integer,
                   power(10::numeric, i.price_scale) as price_unit,
                   power(10::numeric, i.size_scale) as size_unit) x
        where b.instrument_id = p_instrument_id and b.feed_id = v_feed_id
            and b.resolution = '1d' and b.side = 'trade' and b.ts >= v_from and b.ts <= v_to
            and x.date between p_from and p_to
        order by x.date, b.source_id desc, b.seq desc;
    else
        return query
        select x.date, b.open::numeric, b.high::numeric, b.low::numeric, b.close::numeric,
               b.volume::numeric
        from market.bars_1d b
        cross join lateral (
            select ((b.bucket + interval '12 hours') at time zone 'UTC')::date as date) x
        where b.instrument_id = p_instrument_id and b.feed_id = v_feed_id
            and b.bucket >= v_from and b.bucket <= v_to and x.date between p_from and p_to
            and b.trade_count > 0;
    end if;
end
$$;
grant execute on function market._daily_bars(integer, date, date, text, text) to tsdb_reader;
