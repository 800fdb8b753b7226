-- Turns the signals of a batch into orders, in the transaction that recorded them: per signal it
-- cancels what still works for the pair's legs, then submits, as one basket, the difference between
-- each leg's target and what the pair's orders have filled. Returns the number of orders, denied
-- ones included. Called again for the same batch it does nothing.
-- Session parameters: time_in_force (day), order_type (limit), limit_offset_bps (5): how far beyond
-- the adverse quote the limit goes.
create or replace function oms.submit_signals(p_batch_id bigint)
returns integer
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_signal record;
    v_working record;
    v_basket jsonb;
    v_count integer := 0;
    v_session ops.sessions;
    v_offset numeric;
    v_as_of timestamptz;
begin
    perform oms._require_read_committed();
    select s.* into v_session from market.batches b join ops.sessions s using (session_id)
    where b.batch_id = p_batch_id;
    -- Orders are submitted now, in session time: later than their signal when batches have queued up.
    select as_of into v_as_of from market.batches
    where session_id = v_session.session_id order by batch_no desc limit 1;
    -- All of them first, as everyone does: see oms._lock_shared.
    perform oms._lock_account(v_session.session_id, a.account)
    from (
        select distinct sp.account
        from market.batches b
        join signal.signals g on g.batch_id = b.batch_id and g.session_id = b.session_id and g.as_of = b.as_of
        join signal.session_pairs sp on sp.session_id = g.session_id and sp.pair_id = g.pair_id
        where b.batch_id = p_batch_id
        order by 1) a;
    v_offset := coalesce((v_session.parameters->>'limit_offset_bps')::numeric, 5) / 10000;
    for v_signal in
        select g.signal_id, g.as_of, g.pair_id, sp.account, st.strategy
        from market.batches b
        join signal.signals g on g.batch_id = b.batch_id and g.session_id = b.session_id and g.as_of = b.as_of
        join signal.session_pairs sp on sp.session_id = g.session_id and sp.pair_id = g.pair_id
        join signal.strategies st on st.strategy_id = g.strategy_id
        where b.batch_id = p_batch_id
        order by sp.account, g.signal_id
    loop
        for v_working in
            select o.order_id from oms.orders o
            where o.session_id = v_session.session_id and o.pair_id = v_signal.pair_id
                and o.is_live and o.status <> 'pending_cancel'
            order by o.order_id
        loop
            perform oms.cancel_order(v_working.order_id,
                md5('cancel ' || v_working.order_id || ' for signal ' || v_signal.signal_id)::uuid,
                v_as_of);
        end loop;
        -- What is being cancelled counts as gone: counting it as filled could overshoot the target.
        select jsonb_agg(jsonb_strip_nulls(jsonb_build_object(
            'session_id', v_session.session_id, 'account', v_signal.account, 'strategy', v_signal.strategy,
            'origin', 'signal', 'signal_id', v_signal.signal_id, 'signal_as_of', v_signal.as_of,
            'signal_leg', leg.leg, 'pair_id', v_signal.pair_id, 'instrument_id', leg.instrument_id,
            'side', case when leg.delta > 0 then 'buy'
                         when leg.position + leg.delta >= 0 then 'sell'
                         else 'sell_short' end,
            'quantity', abs(leg.delta),
            'order_type', leg.order_type,
            'limit_price', case when leg.order_type = 'limit' then leg.limit_price end,
            'time_in_force', coalesce(v_session.parameters->>'time_in_force', 'day'))) order by leg.leg)
        into v_basket
        from (
            select d.*,
                -- Without a quote there is no limit to set, and the market_data control denies it.
                case when q.bid_price is null then 'market'
                     else coalesce(v_session.parameters->>'order_type', 'limit') end as order_type,
                case when d.delta > 0
                    then ceil(q.ask_price / i.price_unit::numeric * (1 + v_offset) / i.tick_size)
                    -- No price is below one tick.
                    else greatest(floor(q.bid_price / i.price_unit::numeric * (1 - v_offset) / i.tick_size), 1)
                    end * i.tick_size as limit_price,
                coalesce((select sum(p.quantity) from portfolio._positions p
                    where p.session_id = v_session.session_id and p.account = v_signal.account
                        and p.instrument_id = d.instrument_id), 0) as position
            from (
                select t.leg, t.instrument_id, t.target_quantity - coalesce(h.quantity, 0) as delta
                from signal.targets t
                left join oms.pair_holdings h
                    on h.session_id = v_session.session_id and h.pair_id = v_signal.pair_id
                    and h.instrument_id = t.instrument_id
                where t.signal_id = v_signal.signal_id and t.as_of = v_signal.as_of) d
            join ref.instruments i using (instrument_id)
            left join market.latest_quotes q
                on q.session_id = v_session.session_id and q.instrument_id = d.instrument_id
            where d.delta <> 0) leg;
        if v_basket is not null then
            select v_count + count(*) into v_count
            from oms.submit_basket(v_basket, md5('signal ' || v_signal.signal_id)::uuid, v_as_of);
        end if;
    end loop;
    return v_count;
end
$$;
comment on function oms.submit_signals(bigint) is
    'Submits the orders that bring each signalled pair of a batch to its target.';
grant execute on function oms.submit_signals(bigint) to tsdb_worker_signals;
