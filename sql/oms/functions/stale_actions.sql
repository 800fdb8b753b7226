-- New orders and replaces that have waited to be sent for longer than p_age: what they were meant for is
-- past. Cancels never are. Orders in doubt are left out: theirs may have been sent.
create or replace function oms.stale_actions(p_venue text, p_age interval)
returns setof bigint
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
    select a.action_id
    from oms.order_actions a join ref.venues v using (venue_id) join oms.orders o using (order_id)
    where a.status = 'pending' and v.venue = p_venue and a.kind <> 'cancel' and o.status <> 'unknown'
        and a.recorded_at < clock_timestamp() - p_age
    order by a.action_id
$$;
comment on function oms.stale_actions(text, interval) is
    'New orders and replaces that have waited to be sent for longer than an age.';
grant execute on function oms.stale_actions(text, interval) to tsdb_worker_gateway;
