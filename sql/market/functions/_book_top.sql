-- The best bid and offer of a book after its last event, with that event's time, in stored
-- integers; one row.
create or replace function market._book_top(p_instrument_id integer, p_feed_id integer)
returns table (
    ts timestamptz,
    ns smallint,
    bid_price bigint,
    bid_size bigint,
    bid_orders bigint,
    ask_price bigint,
    ask_size bigint,
    ask_orders bigint
)
language plpgsql
stable
-- Plans made for the values leave out the chunks that they exclude.
set plan_cache_mode = force_custom_plan
as $$
declare
    v_last_ts timestamptz;
begin
    select max(s.last_ts) into v_last_ts
    from market.sources s
    where s.instrument_id = p_instrument_id and s.feed_id = p_feed_id and s.kind = 'book_events';
    select e.ts, e.ns into ts, ns
    from market._book_events e
    where e.instrument_id = p_instrument_id and e.feed_id = p_feed_id and e.ts >= v_last_ts
    order by e.ts desc, e.ns desc, e.source_id desc, e.seq desc
    limit 1;
    -- The last event itself may be dropped, while its orders live on in a snapshot.
    if not found then
        select s.ts, s.ns into ts, ns
        from market.book_snapshots s
        where s.instrument_id = p_instrument_id and s.feed_id = p_feed_id
        order by s.ts desc, s.ns desc, s.source_id desc, s.seq desc
        limit 1;
    end if;
    with levels as (
        select o.side, o.price, sum(o.size)::bigint as size, count(*) as orders
        from market._book_orders(p_instrument_id, p_feed_id, market._book_end('infinity')) o
        group by o.side, o.price
    ),
    bid as (
        select l.price, l.size, l.orders from levels l
        where l.side = 'bid' order by l.price desc limit 1
    ),
    ask as (
        select l.price, l.size, l.orders from levels l
        where l.side = 'ask' order by l.price limit 1
    )
    select b.price, b.size, b.orders, a.price, a.size, a.orders
    into bid_price, bid_size, bid_orders, ask_price, ask_size, ask_orders
    from (select 1) one
    left join bid b on true
    left join ask a on true;
    return next;
end
$$;
comment on function market._book_top(integer, integer) is
    'The best bid and offer of a book after its last event, in stored integers.';
grant execute on function market._book_top(integer, integer) to tsdb_reader, tsdb_venue;
