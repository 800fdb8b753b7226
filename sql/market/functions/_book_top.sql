-- The best bid and offer of a book after its last event, with that event's time, in stored
-- integers; one row, or none without events.
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
language sql
stable
as $$
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
    select e.ts, e.ns, b.price, b.size, b.orders, a.price, a.size, a.orders
    from (
        select v.ts, v.ns from market._book_events v
        where v.instrument_id = p_instrument_id and v.feed_id = p_feed_id
        order by v.ts desc, v.ns desc, v.source_id desc, v.seq desc limit 1
    ) e
    left join bid b on true
    left join ask a on true
$$;
comment on function market._book_top(integer, integer) is
    'The best bid and offer of a book after its last event, in stored integers.';
grant execute on function market._book_top(integer, integer)
    to tsdb_worker, tsdb_venue, tsdb_quant, tsdb_readonly, tsdb_operator;
