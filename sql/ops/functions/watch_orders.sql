-- Raises an alert for every order that has waited for its venue longer than p_age, and for every
-- open reconciliation break; resolves those that are over, and what the gateway raised about a venue
-- that was silent and answers again. Returns the number of orders and breaks. For the risk monitor.
create or replace function ops.watch_orders(p_age interval)
returns integer
language sql
security definer
set search_path = pg_catalog, pg_temp
as $$
    with due as (
        select 'order_stuck' as kind, 'order ' || o.order_id || ' waits for its venue' as message,
            jsonb_build_object('order_id', o.order_id, 'status', o.status, 'since', o.updated_at) as detail
        from oms.orders o
        where o.awaits_venue and o.updated_at < clock_timestamp() - p_age
        union all
        select 'break', 'break ' || b.break_id || ' (' || b.kind || ') is open',
            jsonb_build_object('break_id', b.break_id, 'order_id', b.order_id)
        from oms.breaks b
        where b.resolved_at is null),
    raised as (
        select ops.raise_alert(d.kind, 'critical', d.message, d.detail) from due d),
    resolved as (
        update ops.alerts a set resolved_at = clock_timestamp()
        where a.kind in ('order_stuck', 'break') and a.resolved_at is null
            and not exists (select from due d where d.kind = a.kind and d.message = a.message)
            or a.kind = 'status_unanswered' and a.resolved_at is null and not exists (
                select from oms.orders o
                where o.order_id = (a.detail->>'order_id')::bigint and o.status = 'unknown')
            or a.kind in ('gateway_offline', 'fix_store') and a.resolved_at is null and exists (
                select from ops.heartbeats h
                where h.kind = 'fix_session' and h.beat_at > a.raised_at
                    and h.detail->>'fix_session' = a.detail->>'fix_session'
                    and h.detail->>'logged_on' = 'true')
            or a.kind = 'gateway_queue' and a.resolved_at is null and not exists (
                select from oms.order_actions x join ref.venues v using (venue_id)
                where v.venue = a.detail->>'venue' and x.status = 'pending' and x.recorded_at < a.raised_at)
        returning 1)
    select count(*)::integer from due, (select count(*) from raised) r, (select count(*) from resolved) x
$$;
comment on function ops.watch_orders(interval) is
    'Raises and resolves alerts of kinds order_stuck and break, resolves the gateway''s that are over; returns how many are due.';
grant execute on function ops.watch_orders(interval) to tsdb_worker_risk;
