-- The orders that bring what a signal is about to its targets: each leg's target less what the pair's
-- orders have filled, or, for the rebalance of a portfolio (no pair), less the strategy's position in
-- the account. What is being cancelled counts as gone: counting it as filled could overshoot.
-- basket: orders of one basket go together, all or none, 0 last; legs that go alone have their own
-- number. Alone go the reducing legs of a rebalance, so that no entry holds an exit back, and the legs
-- of an exit of which one instrument is not active, so that the other can still be closed.
create or replace function oms._signal_orders(
    p_session ops.sessions,
    p_signal signal.signals,
    p_account text
)
returns table (basket integer, leg integer, order_json jsonb)
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
    with legs as (
        select t.leg, t.instrument_id, t.target_quantity - coalesce(h.quantity, 0) as delta,
               coalesce(h.quantity, 0) as held, t.target_quantity,
               coalesce((
                   select sum(p.quantity) from portfolio._positions p
                   where p.session_id = p_session.session_id and p.account = p_account
                       and p.instrument_id = t.instrument_id), 0) as position,
               i.price_unit, i.tick_size,
               bool_and(t.target_quantity = 0) over () and bool_or(i.status <> 'active') over () as is_blocked_exit
        from signal.targets t
        join ref.instruments i using (instrument_id)
        cross join lateral (
            select case when p_signal.pair_id is not null then (
                    select h.quantity from oms.pair_holdings h
                    where h.session_id = p_session.session_id and h.pair_id = p_signal.pair_id
                        and h.instrument_id = t.instrument_id)
                else (
                    select p.quantity from portfolio._positions p
                    where p.session_id = p_session.session_id and p.account = p_account
                        and p.strategy_id = p_signal.strategy_id and p.instrument_id = t.instrument_id)
                end as quantity) h
        where t.signal_id = p_signal.signal_id and t.as_of = p_signal.as_of
    ),
    priced as (
        select l.*,
               -- Without a quote there is no limit to set, and the market_data control denies it.
               case when q.bid_price is null then 'market'
                    else coalesce(p_session.parameters->>'order_type', 'limit') end as order_type,
               case when l.delta > 0
                   then ceil(q.ask_price / l.price_unit::numeric * (1 + o.distance) / l.tick_size)
                   -- No price is below one tick.
                   else greatest(floor(q.bid_price / l.price_unit::numeric * (1 - o.distance) / l.tick_size), 1)
                   end * l.tick_size as limit_price
        from legs l
        cross join (
            select coalesce((p_session.parameters->>'limit_offset_bps')::numeric, 5) / 10000 as distance) o
        left join market.latest_quotes q
            on q.session_id = p_session.session_id and q.instrument_id = l.instrument_id
        where l.delta <> 0
    )
    select case when p.is_blocked_exit
                   or p_signal.pair_id is null and abs(p.target_quantity) <= abs(p.held)
                       and p.target_quantity * p.held >= 0
               then p.leg::integer else 0 end,
           p.leg::integer,
           jsonb_strip_nulls(jsonb_build_object(
               'session_id', p_session.session_id, 'account', p_account, 'strategy', s.strategy,
               'origin', 'signal', 'signal_id', p_signal.signal_id, 'signal_as_of', p_signal.as_of,
               'signal_leg', p.leg, 'pair_id', p_signal.pair_id, 'instrument_id', p.instrument_id,
               'side', case when p.delta > 0 then 'buy'
                            when p.position + p.delta >= 0 then 'sell'
                            else 'sell_short' end,
               'quantity', abs(p.delta),
               'order_type', p.order_type,
               'limit_price', case when p.order_type = 'limit' then p.limit_price end,
               'time_in_force', coalesce(p_session.parameters->>'time_in_force', 'day')))
    from priced p
    join signal.strategies s on s.strategy_id = p_signal.strategy_id
$$;
comment on function oms._signal_orders(ops.sessions, signal.signals, text) is
    'The orders that bring what a signal is about to its targets, in baskets.';
