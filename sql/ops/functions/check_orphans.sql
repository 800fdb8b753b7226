-- Looks for rows whose parent is missing, where no foreign key can guard because one end is a
-- hypertable. Returns one row per kind that has any, so an empty answer is a healthy database.
-- A scan of the order path's history: for a quiet hour.
create or replace function ops.check_orphans()
returns table (kind text, orphans bigint)
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
    select k.kind, k.orphans
    from (
        select 'order_events without order', count(*) from oms.order_events e
        where not exists (select from oms.orders o where o.order_id = e.order_id)
        union all
        select 'orders whose history has another length', count(*) from oms.orders o
        where o.event_count <> (select count(*) from oms.order_events e where e.order_id = o.order_id)
        union all
        select 'decisions without order', count(*) from risk.decisions d
        where not exists (select from oms.orders o where o.order_id = d.order_id)
        union all
        select 'orders without decision', count(*) from oms.orders o
        where not exists (
            select from risk.decisions d
            where d.decided_at = o.decided_at and d.decision_id = o.decision_id)
        union all
        select 'pair holdings that differ from the orders', count(*)
        from oms.pair_holdings h
        where h.quantity <> (
            select sum(case o.side when 'buy' then 1 else -1 end * o.cumulative_quantity)
            from oms.orders o
            where o.session_id = h.session_id and o.pair_id = h.pair_id
                and o.instrument_id = h.instrument_id)
        union all
        select 'orders without signal', count(*) from oms.orders o
        where o.origin = 'signal' and not exists (
            select from signal.signals g where g.as_of = o.signal_as_of and g.signal_id = o.signal_id)
        union all
        select 'signals without batch', count(*) from signal.signals g
        where not exists (select from market.batches b where b.batch_id = g.batch_id)
        union all
        select 'targets without signal', count(*) from signal.targets t
        where not exists (
            select from signal.signals g where g.as_of = t.as_of and g.signal_id = t.signal_id)
        union all
        select 'executions without order', count(*) from oms.executions e
        where e.order_id is not null
            and not exists (select from oms.orders o where o.order_id = e.order_id)
        union all
        select 'executions without ledger entry', count(*) from oms.executions e
        where not exists (
            select from oms.execution_keys k
            where k.venue_id = e.venue_id and k.trade_date = e.trade_date and k.exec_id = e.exec_id
                and (k.execution_id = e.execution_id or e.kind = 'correction'))
        union all
        select 'executions without FIX message', count(*) from oms.executions e
        where not exists (
            select from oms.fix_messages m
            where m.recorded_at = e.message_at and m.message_id = e.message_id)
        union all
        select 'sent actions without FIX message', count(*) from oms.order_actions a
        where a.status in ('sent', 'accepted') and a.message_id is not null and not exists (
            select from oms.fix_messages m
            where m.recorded_at = a.message_at and m.message_id = a.message_id)
    ) as k (kind, orphans)
    where k.orphans > 0
$$;
comment on function ops.check_orphans() is
    'Rows whose parent is missing, one row per kind that has any; no row means all is well.';
grant execute on function ops.check_orphans() to tsdb_reader, tsdb_worker_scheduler;
