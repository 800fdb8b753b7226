-- How many actions wait to be sent to a venue, and for how many seconds the oldest has waited.
create or replace function oms.queued_actions(p_venue text)
returns table (queued integer, oldest_s numeric)
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
    select count(*)::integer,
        coalesce(round(extract(epoch from clock_timestamp() - min(a.recorded_at)), 1), 0)
    from oms.order_actions a join ref.venues v using (venue_id)
    where a.status = 'pending' and v.venue = p_venue
$$;
comment on function oms.queued_actions(text) is
    'How many actions wait to be sent to a venue, and for how many seconds the oldest has waited.';
grant execute on function oms.queued_actions(text) to tsdb_worker_gateway;
