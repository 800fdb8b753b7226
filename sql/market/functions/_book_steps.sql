-- How a book changes, order by order: first the orders live after the event p_after (step 0), then
-- one row for each order that an event after it, up to p_to, touches, numbered by event.
--
--   step            0, then 1, 2, 3 ... per event; a replace has two rows, the order it ends first
--   order_id, side  of the order; null where the event is a clear, which ends every order
--   price, size     of the order after the event, in stored integers; size 0: it is gone
--   was_price, was_size   before it
--   since_ts, since_ns   when the order got its place in the queue
--   placed_ns       the same in nanoseconds since 1970, where a snapshot says it: before since_ts
--   queue_no        orders of a level queue by this
--   in_snapshot     the event is part of a snapshot that goes on after it
--
-- The last snapshot or clear up to p_after is where it starts from, so that its cost does not
-- depend on the history before. An order that is taken from or ended without having been added
-- changes nothing, nor does an event that is hidden or reports what another one tells (flags 2 and
-- 8); an order that is modified stands as the event says (market._book_events.action).
-- A modify keeps the place in the queue unless the price changes or the size grows (CME, iLink:
-- order cancel/replace); execute and reduce keep it; replace loses it (Nasdaq ITCH 5.0).
--
-- Set-based: the events are numbered once, sorted once by order, and everything known about an
-- order is a running aggregate along its own events. What an order was last set to is the maximum
-- of arrays that begin with the number of the event.
create or replace function market._book_steps(
    p_instrument_id integer,
    p_feed_id integer,
    p_after market.book_position,
    p_to market.book_position
)
returns table (
    step bigint,
    ts timestamptz,
    ns smallint,
    source_id integer,
    seq bigint,
    recv_ts timestamptz,
    order_id bigint,
    side text,
    price bigint,
    size bigint,
    was_price bigint,
    was_size bigint,
    since_ts timestamptz,
    since_ns smallint,
    placed_ns bigint,
    queue_no bigint,
    in_snapshot boolean
)
language plpgsql
stable
-- Plans made for the values leave out the chunks that they exclude.
set plan_cache_mode = force_custom_plan
-- Estimates of how much a book holds are of no use, and joins of it in loops cost seconds.
set enable_nestloop = off
as $$
#variable_conflict use_column
declare
    v_snapshot market.book_snapshots;
    v_clear market.book_position;
    v_from market.book_position := row('-infinity', 0, 0, 0)::market.book_position;
    v_from_ts timestamptz;
    v_after_ts timestamptz := p_after.ts;
    v_to_ts timestamptz := p_to.ts;
begin
    select s.* into v_snapshot
    from market.book_snapshots s
    where s.instrument_id = p_instrument_id and s.feed_id = p_feed_id and s.ts <= v_after_ts
        and (s.ts, s.ns, s.source_id, s.seq)
        <= (p_after.ts, p_after.ns, p_after.source_id, p_after.seq)
    order by s.ts desc, s.ns desc, s.source_id desc, s.seq desc
    limit 1;
    if v_snapshot.ts is not null then
        v_from := row(v_snapshot.ts, v_snapshot.ns, v_snapshot.source_id, v_snapshot.seq);
    end if;
    v_from_ts := v_from.ts;
    select e.ts, e.ns, e.source_id, e.seq into v_clear
    from market._book_events e
    where e.instrument_id = p_instrument_id and e.feed_id = p_feed_id and e.action = 'clear'
        and e.ts >= v_from_ts and e.ts <= v_after_ts
        and (e.ts, e.ns, e.source_id, e.seq)
        > (v_from.ts, v_from.ns, v_from.source_id, v_from.seq)
        and (e.ts, e.ns, e.source_id, e.seq)
        <= (p_after.ts, p_after.ns, p_after.source_id, p_after.seq)
    order by e.ts desc, e.ns desc, e.source_id desc, e.seq desc
    limit 1;
    if v_clear.ts is not null then
        v_snapshot := null;
        -- A source's row may hold a clear and what comes after it.
        v_from := row(v_clear.ts, v_clear.ns, v_clear.source_id, v_clear.seq - 1);
        v_from_ts := v_from.ts;
    end if;
    return query
    with events as materialized (
        select e.ts, e.ns, e.source_id, e.seq, e.recv_ts, e.order_id, e.new_order_id, e.action,
               e.side, e.price, e.size, e.placed_ns, e.flags,
               row_number() over in_order as no,
               count(*) filter (where e.action = 'clear') over in_order as era,
               (e.ts, e.ns, e.source_id, e.seq)
               <= (p_after.ts, p_after.ns, p_after.source_id, p_after.seq) as is_before,
               e.flags & 5 = 1
               and coalesce(lead(e.flags) over in_order & 1 = 1, true) as in_snapshot
        from market._book_events e
        where e.instrument_id = p_instrument_id and e.feed_id = p_feed_id
            and e.ts >= v_from_ts and e.ts <= v_to_ts
            and (e.ts, e.ns, e.source_id, e.seq)
            > (v_from.ts, v_from.ns, v_from.source_id, v_from.seq)
            and (e.ts, e.ns, e.source_id, e.seq)
            <= (p_to.ts, p_to.ns, p_to.source_id, p_to.seq)
        window in_order as (
            order by e.ts, e.ns, e.source_id, e.seq, e.action <> 'clear'
            rows unbounded preceding)
    ),
    before as (
        select coalesce(max(e.no), 0) as last_no, coalesce(max(e.era), 0) as era
        from events e where e.is_before
    ),
    base as (
        select 2 * (o.no - cardinality(v_snapshot.order_ids)) - 2 as touch, o.order_id, o.side,
               o.price, o.size, o.placed_ns, n.order_id is not null as is_touched
        from unnest(v_snapshot.order_ids, v_snapshot.sides, v_snapshot.prices, v_snapshot.sizes,
                    v_snapshot.placed_ns) with ordinality
            o (order_id, side, price, size, placed_ns, no)
        left join (
            select e.order_id from events e
            union
            select e.new_order_id from events e
        ) n on n.order_id = o.order_id
    ),
    -- touch: numbers what happens to orders; of the two rows of a replace the odd one is second.
    touches as (
        select b.touch, 0 as era, b.order_id, 'add' as action, b.side, b.price, b.size, b.placed_ns,
               null::timestamptz as ts, null::smallint as ns
        from base b where b.is_touched
        union all
        select 2 * e.no, e.era, e.order_id,
               case e.action when 'replace' then 'delete' else e.action end,
               e.side, e.price, e.size, e.placed_ns, e.ts, e.ns
        from events e
        where e.order_id is not null and e.action <> 'clear' and e.flags & 10 = 0
        union all
        select 2 * e.no + 1, e.era, e.new_order_id, 'add', e.side, e.price, e.size, null, e.ts, e.ns
        from events e where e.action = 'replace' and e.flags & 10 = 0
    ),
    taken as (
        select t.*,
               (sum(case when t.action in ('reduce', 'execute') then t.size else 0 end)
                   over life)::bigint as taken,
               (max(case when t.action in ('add', 'modify') and t.side <> ''
                   then t.touch * 2 + (t.side = 'ask')::integer end) over life & 1) = 1 as is_ask,
               lead(t.touch) over life as next_touch
        from touches t
        window life as (partition by t.era, t.order_id order by t.touch rows unbounded preceding)
    ),
    set_to as (
        select t.*,
               max(case t.action
                   when 'add' then array[t.touch, t.price, t.size, t.taken]
                   when 'modify' then array[t.touch, t.price, t.size, t.taken]
                   when 'delete' then array[t.touch, null, 0, t.taken]
               end) over life as last_set
        from taken t
        window life as (partition by t.era, t.order_id order by t.touch rows unbounded preceding)
    ),
    left_over as (
        select s.*, s.last_set[2] as now_price,
               greatest(coalesce(s.last_set[3] - (s.taken - s.last_set[4]), 0), 0) as now_size
        from set_to s
    ),
    compared as (
        select l.*, lag(l.now_price) over life as was_price, lag(l.now_size) over life as was_size
        from left_over l
        window life as (
            partition by l.era, l.order_id order by l.touch rows unbounded preceding)
    ),
    placed as (
        select c.*,
               c.action = 'add' or (c.action = 'modify'
                   and (c.was_size > 0 and c.price = c.was_price and c.size <= c.was_size)
                   is not true) as is_placed
        from compared c
    ),
    queued as (
        select p.*,
               max(case when p.is_placed then array[p.touch, p.placed_ns, p.ns] end) over life
                   as place,
               -- Of the same event: times never fall.
               max(case when p.is_placed then p.ts end) over life as since_ts
        from placed p
        window life as (
            partition by p.era, p.order_id order by p.touch rows unbounded preceding)
    )
    select 0::bigint, null::timestamptz, null::smallint, null::integer, null::bigint,
           null::timestamptz, q.order_id, case when q.is_ask then 'ask' else 'bid' end,
           q.now_price, q.now_size, null::bigint, null::bigint, q.since_ts,
           q.place[3]::smallint, q.place[2], q.place[1], false
    from queued q
    cross join before b
    where q.touch <= 2 * b.last_no + 1 and q.era = b.era
        and coalesce(q.next_touch > 2 * b.last_no + 1, true)
        and q.now_size > 0 and q.now_price is not null and q.is_ask is not null
    union all
    select 0, null, null, null, null, null, o.order_id, o.side, o.price, o.size, null, null,
           null, null, o.placed_ns, o.touch, false
    from base o
    cross join before b
    where not o.is_touched and b.era = 0
    union all
    select e.no - b.last_no, e.ts, e.ns, e.source_id, e.seq, e.recv_ts, q.order_id,
           case when q.is_ask then 'ask' else 'bid' end, q.now_price, q.now_size,
           q.was_price, q.was_size, q.since_ts, q.place[3]::smallint, q.place[2], q.place[1],
           e.in_snapshot
    from queued q
    cross join before b
    join events e on e.no = q.touch / 2
    where q.touch > 2 * b.last_no + 1 and q.is_ask is not null
    union all
    select e.no - b.last_no, e.ts, e.ns, e.source_id, e.seq, e.recv_ts,
           null, null, null, null, null, null, null, null, null, null, e.in_snapshot
    from events e cross join before b
    where e.action = 'clear' and not e.is_before;
end
$$;
comment on function market._book_steps(
    integer, integer, market.book_position, market.book_position) is
    'The orders live after an event, then what each event up to another one does to each order.';
grant execute on function market._book_steps(
    integer, integer, market.book_position, market.book_position) to tsdb_reader, tsdb_venue;
