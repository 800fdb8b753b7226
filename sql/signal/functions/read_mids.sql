-- Mids on a time grid: for every grid time t of regular hours with p_from < t <= p_to, the last
-- usable quote with t - p_grid < ts <= t. Regular hours are the New York Stock Exchange's sessions
-- (ref.calendar_days of XNYS: holidays, half days) where they are loaded, else 09:30 to 16:00 of
-- every day in New York. A grid time without a quote has no row, so the rows are what a session in batches of p_grid would step on. p_symbols null: all
-- instruments that the feed has quotes of.
create or replace function signal.read_mids(
    p_feed text,
    p_symbols text[],
    p_from timestamptz,
    p_to timestamptz,
    p_grid interval default '1 second'
)
returns table (
    instrument_id integer, symbol text, as_of timestamptz, mid double precision,
    bid_price double precision, ask_price double precision
)
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
    with legs as materialized (
        select distinct i.instrument_id, i.symbol, i.price_unit, f.feed_id
        from ops.feeds f
        join market.sources s on s.feed_id = f.feed_id and s.kind = 'quotes'
        join ref.instruments i on i.instrument_id = s.instrument_id
        where f.feed = p_feed and (p_symbols is null or i.symbol = any (p_symbols))
            and s.last_ts > p_from and s.first_ts <= p_to
    ),
    days as materialized (
        select greatest(p_from, h.opens_at) as open_ts, least(p_to, h.closes_at) as close_ts
        from generate_series(
            date_trunc('day', p_from at time zone 'America/New_York'),
            date_trunc('day', p_to at time zone 'America/New_York'), interval '1 day') d (day)
        cross join lateral (
            select c.opens_at, c.closes_at
            from ref.calendar_days c
            where c.exchange = 'XNYS' and c.date = d.day::date and c.superseded_at = 'infinity'
            union all
            select (d.day + interval '9:30') at time zone 'America/New_York',
                   (d.day + interval '16:00') at time zone 'America/New_York'
            where not exists (
                select from ref.calendars k
                where k.exchange = 'XNYS' and d.day::date between k.first_date and k.last_date)
        ) h
    )
    -- A probe of the index per grid time; on a finer grid than half a second that costs more than to read every
    -- quote, in the index's order, and to keep the last of each interval: the same rows.
    select m.instrument_id, m.symbol, m.as_of, (m.bid_price + m.ask_price) / 2.0::float8 / m.price_unit,
           m.bid_price / m.price_unit, m.ask_price / m.price_unit
    from (
        select l.instrument_id, l.symbol, l.price_unit, g.as_of, q.bid_price, q.ask_price
        from legs l
        cross join days d
        cross join lateral generate_series(d.open_ts + p_grid, d.close_ts, p_grid) g (as_of)
        cross join lateral (
            select q.bid_price, q.ask_price
            from market._quotes q
            where q.instrument_id = l.instrument_id and q.feed_id = l.feed_id
                and q.ts > g.as_of - p_grid and q.ts <= g.as_of
                and q.bid_price > 0 and q.ask_price > 0 and q.bid_price <= q.ask_price
            order by q.ts desc, q.ns desc, q.source_id desc, q.seq desc
            limit 1) q
        where p_grid >= interval '500 milliseconds'
        union all
        select l.instrument_id, l.symbol, l.price_unit, q.as_of, q.bid_price, q.ask_price
        from legs l
        cross join days d
        cross join lateral (
            select g.as_of, q.bid_price, q.ask_price,
                   lead(g.as_of) over (order by q.ts, q.ns, q.source_id, q.seq) as next
            from market._quotes q
            cross join lateral (
                select date_bin(p_grid, q.ts - interval '1 microsecond', d.open_ts) + p_grid as as_of) g
            where q.instrument_id = l.instrument_id and q.feed_id = l.feed_id
                and q.ts > d.open_ts and q.ts <= d.close_ts
                and q.bid_price > 0 and q.ask_price > 0 and q.bid_price <= q.ask_price) q
        where p_grid < interval '500 milliseconds' and q.next is distinct from q.as_of and q.as_of <= d.close_ts) m
    order by m.instrument_id, m.as_of
$$;
comment on function signal.read_mids(text, text[], timestamptz, timestamptz, interval) is
    'Mids on a time grid in regular hours, the last usable quote of each grid interval.';
grant execute on function signal.read_mids(text, text[], timestamptz, timestamptz, interval) to tsdb_reader;
