-- The best bid and offer after every event that changed it, of those after p_after up to p_to, in
-- stored integers; null where a side has no orders. The first row differs from the book after
-- p_after. Events within a snapshot show a book half told: only with p_partial do they count, else
-- the snapshot's last one. sets_bid, sets_ask: price or size of the side changed, and not only the
-- number of its orders.
--
-- One pass, in a loop: the best price after an order is gone needs the levels behind it, which no
-- window function knows. A level is a slot of arrays that are changed in place. Bids have the slots
-- 1 to n by price, asks n + 1 to 2n by falling price, so that better is higher on both sides.
create or replace function market._book_bbo(
    p_instrument_id integer,
    p_feed_id integer,
    p_after market.book_position,
    p_to market.book_position,
    p_partial boolean default false
)
returns table (
    ts timestamptz,
    ns smallint,
    source_id integer,
    seq bigint,
    recv_ts timestamptz,
    bid_price bigint,
    bid_size bigint,
    bid_orders bigint,
    ask_price bigint,
    ask_size bigint,
    ask_orders bigint,
    sets_bid boolean,
    sets_ask boolean
)
language plpgsql
stable
-- Estimates of how much a book holds are of no use, and joins of it in loops cost seconds.
set enable_nestloop = off
as $$
#variable_conflict use_column
declare
    v_step bigint;
    v_order_id bigint;
    v_side integer;
    v_slot integer;
    v_size bigint;
    v_was_slot integer;
    v_was_size bigint;
    v_is_last boolean;
    v_shown boolean;
    v_new_prices bigint[];
    v_prices bigint[];
    v_sizes bigint[];
    v_orders bigint[];
    v_levels integer;
    -- Best slot of either side, and the slots below which it has none.
    v_best integer[];
    v_empty integer[];
    v_at integer;
    v_bid integer;
    v_ask integer;
begin
    for v_step, v_order_id, ts, ns, source_id, seq, recv_ts, v_side, v_slot, v_size, v_was_slot,
        v_was_size, v_is_last, v_shown, v_new_prices
    in
        with steps as materialized (
            select b.*, case b.side when 'bid' then 1 when 'ask' then 2 end as side_no
            from market._book_steps(p_instrument_id, p_feed_id, p_after, p_to) b
        ),
        prices as (
            select array_agg(distinct s.price order by s.price) as rising,
                   array_agg(distinct s.price order by s.price desc) as falling
            from steps s where s.price is not null
        ),
        slots as materialized (
            select p.price, 1 as side_no, p.no as slot
            from prices, unnest(prices.rising) with ordinality p (price, no)
            union all
            select p.price, 2, cardinality(prices.rising) + p.no
            from prices, unnest(prices.falling) with ordinality p (price, no)
        )
        select s.step, s.order_id, s.ts, s.ns, s.source_id, s.seq, s.recv_ts, s.side_no,
               case when s.size > 0 then n.slot end, s.size,
               case when s.was_size > 0 then w.slot end, s.was_size,
               lead(s.step, 1, -1::bigint) over in_order <> s.step,
               p_partial or not s.in_snapshot,
               case when row_number() over in_order = 1 then
                   (select p.rising || p.falling from prices p) end
        from steps s
        left join slots n on n.price = s.price and n.side_no = s.side_no
        left join slots w on w.price = s.was_price and w.side_no = s.side_no
        window in_order as (order by s.step)
        order by s.step
    loop
        v_prices := coalesce(v_new_prices, v_prices, '{}');
        if v_best is null or v_order_id is null then
            v_levels := cardinality(v_prices) / 2;
            v_sizes := array_fill(0::bigint, array[2 * v_levels]);
            v_orders := v_sizes;
            v_empty := array[0, v_levels];
            v_best := v_empty;
        end if;
        if v_side is not null then
            if v_was_slot is not null then
                v_sizes[v_was_slot] := v_sizes[v_was_slot] - v_was_size;
                v_orders[v_was_slot] := v_orders[v_was_slot] - 1;
            end if;
            if v_slot is not null then
                v_sizes[v_slot] := v_sizes[v_slot] + v_size;
                v_orders[v_slot] := v_orders[v_slot] + 1;
            end if;
            v_at := greatest(v_best[v_side], v_slot);
            while v_at > v_empty[v_side] and v_orders[v_at] = 0 loop
                v_at := v_at - 1;
            end loop;
            v_best[v_side] := v_at;
        end if;
        continue when not v_is_last or not v_shown;
        v_bid := nullif(v_best[1], 0);
        v_ask := nullif(v_best[2], v_levels);
        if (bid_price, bid_size, bid_orders, ask_price, ask_size, ask_orders) is distinct from
            (v_prices[v_bid], v_sizes[v_bid], v_orders[v_bid],
             v_prices[v_ask], v_sizes[v_ask], v_orders[v_ask])
        then
            sets_bid := (bid_price, bid_size)
            is distinct from (v_prices[v_bid], v_sizes[v_bid]);
            sets_ask := (ask_price, ask_size)
            is distinct from (v_prices[v_ask], v_sizes[v_ask]);
            bid_price := v_prices[v_bid];
            bid_size := v_sizes[v_bid];
            bid_orders := v_orders[v_bid];
            ask_price := v_prices[v_ask];
            ask_size := v_sizes[v_ask];
            ask_orders := v_orders[v_ask];
            if v_step > 0 then
                return next;
            end if;
        end if;
    end loop;
end
$$;
comment on function market._book_bbo(
    integer, integer, market.book_position, market.book_position, boolean) is
    'The best bid and offer after every event that changed it, in stored integers.';
grant execute on function market._book_bbo(
    integer, integer, market.book_position, market.book_position, boolean) to tsdb_reader, tsdb_venue;
