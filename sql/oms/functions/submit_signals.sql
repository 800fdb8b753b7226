-- Turns the signals of a batch that are to be traded into orders, in the transaction that recorded
-- them: per signal it cancels what still works for the pair's legs (of a portfolio: for the instruments
-- whose net target changed), then submits, as one basket, the difference between each leg's target and
-- what the pair's orders have filled (of a portfolio: the strategy's position). Reducing legs of a
-- portfolio, and an exit's legs where one is not active, go one by one. Returns the number of orders,
-- denied ones included. Called again for the same batch it does nothing.
-- Session parameters: time_in_force (day), order_type (limit), limit_offset_bps (5): how far beyond
-- the adverse quote the limit goes.
create or replace function oms.submit_signals(p_batch_id bigint)
returns integer
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_traded record;
    v_signal signal.signals;
    v_account text;
    v_working record;
    v_basket record;
    v_count integer := 0;
    v_session ops.sessions;
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
    from (select distinct t.account from oms._traded_signals(p_batch_id) t order by 1) a;
    for v_traded in
        select t.account, t.signal from oms._traded_signals(p_batch_id) t
        order by t.account, (t.signal).signal_id
    loop
        v_account := v_traded.account;
        v_signal := v_traded.signal;
        for v_working in
            select o.order_id from oms.orders o
            where o.session_id = v_session.session_id and o.pair_id = v_signal.pair_id
                and o.is_live and o.status <> 'pending_cancel'
            union all
            select o.order_id from oms.orders o
            where v_signal.pair_id is null and o.pair_id is null and o.origin = 'signal'
                and o.session_id = v_session.session_id and o.account = v_account
                and o.strategy_id = v_signal.strategy_id
                and o.is_live and o.status <> 'pending_cancel'
                and o.instrument_id in (
                    select t.instrument_id from signal.targets t
                    where t.signal_id = v_signal.signal_id and t.as_of = v_signal.as_of)
            order by order_id
        loop
            perform oms.cancel_order(v_working.order_id,
                md5('cancel ' || v_working.order_id || ' for signal ' || v_signal.signal_id)::uuid,
                v_as_of);
        end loop;
        for v_basket in
            select o.basket, jsonb_agg(o.order_json order by o.leg) as orders
            from oms._signal_orders(v_session, v_signal, v_account) o
            group by o.basket
            order by o.basket = 0, o.basket
        loop
            select v_count + count(*) into v_count
            from oms.submit_basket(v_basket.orders, md5('signal ' || v_signal.signal_id
                || case when v_basket.basket > 0 then ' leg ' || v_basket.basket else '' end)::uuid, v_as_of);
        end loop;
    end loop;
    return v_count;
end
$$;
comment on function oms.submit_signals(bigint) is
    'Submits the orders that bring each signalled pair, instance or portfolio of a batch to its target.';
grant execute on function oms.submit_signals(bigint) to tsdb_worker_signals;
