-- Bars that close when p_threshold of p_kind (ticks, volume, dollars) was traded; what
-- market.tick_bars, market.volume_bars and market.dollar_bars have in common. p_threshold is in
-- trades, units or currency. Errors are theirs.
create or replace function market._activity_bars(
    p_instrument_id integer,
    p_from timestamptz,
    p_to timestamptz,
    p_kind text,
    p_threshold numeric,
    p_feed text
)
returns table (
    bar_no bigint, from_ts timestamptz, to_ts timestamptz, open double precision,
    high double precision, low double precision, close double precision, volume double precision,
    trade_count bigint, vwap double precision, notional double precision, complete boolean
)
language plpgsql
stable
as $$
#variable_conflict use_column
declare
    v_feeds integer[];
    v_price double precision;
    v_size double precision;
    v_threshold numeric;
begin
    if p_threshold is null or not p_threshold > 0 or p_threshold >= 'Infinity' then
        raise exception 'a bar of % % cannot be: it must be above zero', p_threshold, p_kind
            using errcode = 'TT001';
    elsif p_from is null or p_to is null or p_from >= p_to then
        raise exception 'there is nothing from % to %', p_from, p_to using errcode = 'TT001';
    end if;
    select i.price_unit, i.size_unit into v_price, v_size
    from ref.instruments i where i.instrument_id = p_instrument_id;
    if v_price is null then
        raise exception 'unknown instrument %', p_instrument_id using errcode = 'TT002';
    end if;
    if p_feed is not null and not exists (select from ops.feeds f where f.feed = p_feed) then
        raise exception 'unknown feed %', p_feed using errcode = 'TT002';
    end if;
    select array_agg(distinct s.feed_id) into v_feeds
    from market.sources s
    join ops.feeds f on f.feed_id = s.feed_id
    where s.kind = 'trades' and s.instrument_id = p_instrument_id
        and s.first_ts < p_to and s.last_ts >= p_from and f.feed = coalesce(p_feed, f.feed);
    if cardinality(v_feeds) > 1 then
        raise exception '% feeds have trades of instrument %: name one with p_feed',
            cardinality(v_feeds), p_instrument_id using errcode = 'TT001';
    end if;
    v_threshold := p_threshold * case p_kind when 'volume' then v_size::numeric
        when 'dollars' then v_price::numeric * v_size::numeric else 1 end;
    return query
    with numbered as (
        select t.ts, t.price, t.size, t.flags, row_number() over w as no,
               market._bar_number(
                   case p_kind when 'volume' then t.size when 'dollars' then t.price::numeric * t.size
                   else 1 end, v_threshold) over w as bar
        from market._trades t
        where t.instrument_id = p_instrument_id and t.feed_id = v_feeds[1]
            and t.ts >= p_from and t.ts < p_to and t.flags & 196 = 0
        window w as (order by t.ts, t.ns, t.source_id, t.seq rows unbounded preceding)
    )
    select n.bar[1]::bigint, min(n.ts), max(n.ts),
           (array_agg(n.price order by n.no) filter (where n.flags & 16 = 0))[1] / v_price,
           max(n.price) filter (where n.flags & 32 = 0) / v_price,
           min(n.price) filter (where n.flags & 32 = 0) / v_price,
           (array_agg(n.price order by n.no desc) filter (where n.flags & 16 = 0))[1] / v_price,
           sum(n.size)::double precision / v_size,
           count(*),
           (sum(n.price::numeric * n.size) / nullif(sum(n.size), 0))::double precision / v_price,
           sum(n.price::numeric * n.size)::double precision / v_price / v_size,
           max(n.bar[2]) >= v_threshold
    from numbered n
    group by n.bar[1]
    order by n.bar[1];
end
$$;
grant execute on function market._activity_bars(
    integer, timestamptz, timestamptz, text, numeric, text) to tsdb_reader;
