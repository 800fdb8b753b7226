-- Brings the corporate actions of ref with ex dates up to p_trading_date, as they are known now, into the live
-- positions of a session: before the first order of the day, and again when one was corrected. Books anew
-- every position that they change, writes each change to portfolio.position_changes, and warns of orders
-- that still work on an instrument whose ex date it is: their prices and quantities are of the day before,
-- and it is for a person to cancel them. Applied again it changes nothing.
-- Returns the number of positions changed.
-- Errors: TT001 no date; TT002 unknown session; TT003 not READ COMMITTED; TT004 the session is over.
create or replace function portfolio.apply_corporate_actions(p_session_id uuid, p_trading_date date)
returns integer
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_status text;
    v_changed integer;
begin
    perform ops._audit('portfolio.apply_corporate_actions', p_session_id::text,
        jsonb_build_object('trading_date', p_trading_date));
    perform oms._require_read_committed();
    if p_trading_date is null or not isfinite(p_trading_date) then
        raise exception 'corporate actions are applied up to a day, not %', coalesce(p_trading_date::text, 'null')
            using errcode = 'TT001';
    end if;
    select s.status into v_status from ops.sessions s where s.session_id = p_session_id;
    if v_status is null then
        raise exception 'session % does not exist', coalesce(p_session_id::text, 'null') using errcode = 'TT002';
    elsif v_status <> 'open' then
        raise exception 'session % is %: its positions change no more', p_session_id, v_status
            using errcode = 'TT004';
    end if;
    insert into portfolio.applied_actions as a (session_id, applied_through)
    values (p_session_id, p_trading_date)
    on conflict (session_id) do update
        set applied_through = greatest(a.applied_through, excluded.applied_through),
            updated_at = clock_timestamp();
    -- In the order of every other that takes several; fills wait from here on.
    perform oms._lock_account(p_session_id, p.account)
    from (
        select distinct p.account from portfolio._positions p where p.session_id = p_session_id
        order by p.account) p;

    with due as materialized (
        select b.* from portfolio._live(p_session_id) b),
    changed as (
        select d.account, d.strategy_id, d.instrument_id, to_jsonb(p) as before
        from due d
        left join portfolio._positions p on p.session_id = p_session_id and p.account = d.account
            and p.strategy_id = d.strategy_id and p.instrument_id = d.instrument_id
        where (d.quantity, d.cost, d.realized_pnl, d.fees, d.cash, d.dividends, d.last_trade_date)
            is distinct from
            (p.quantity, p.cost, p.realized_pnl, p.fees, p.cash, p.dividends, p.last_trade_date)),
    booked as materialized (
        select c.*, portfolio._rebuild_position(p_session_id, c.account, c.strategy_id, c.instrument_id)
        from changed c),
    noted as (
        insert into portfolio.position_changes (session_id, account, strategy_id, instrument_id, trading_date,
            before, after)
        select p_session_id, b.account, b.strategy_id, b.instrument_id, p_trading_date,
            coalesce(b.before, '{}'), to_jsonb(d)
        from booked b
        join due d using (account, strategy_id, instrument_id)
        returning 1)
    select count(*) into v_changed from noted;

    perform ops.raise_alert('corporate_action', 'warning',
        format('%s orders work on %s, whose ex date is %s', w.orders, w.symbol, p_trading_date),
        jsonb_build_object('session_id', p_session_id, 'orders', w.order_ids, 'actions', w.kinds))
    from (
        select i.symbol, count(*) as orders, jsonb_agg(o.order_id order by o.order_id) as order_ids,
            min(a.kinds) as kinds
        from oms.orders o
        join ref.instruments i using (instrument_id)
        join (
            select x.instrument_id, string_agg(x.kind, ', ' order by x.kind) as kinds
            from (
                select s.instrument_id, 'split' as kind from ref.splits s
                where s.ex_date = p_trading_date and s.superseded_at = 'infinity'
                union all
                select d.instrument_id, 'dividend' from ref.dividends d
                where d.ex_date = p_trading_date and d.superseded_at = 'infinity'
                union all
                select s.instrument_id, 'spin-off' from ref.spin_offs s
                where s.ex_date = p_trading_date and s.superseded_at = 'infinity') x
            group by x.instrument_id) a using (instrument_id)
        where o.session_id = p_session_id and o.is_live
        group by i.symbol) w;
    return v_changed;
end
$$;
comment on function portfolio.apply_corporate_actions(uuid, date) is
    'Brings corporate actions up to a day into a session''s live positions and warns of working orders; returns the positions changed.';
grant execute on function portfolio.apply_corporate_actions(uuid, date) to tsdb_worker_scheduler, tsdb_ops;
