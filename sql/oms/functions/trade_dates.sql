-- The trade dates on which a venue may have traded for us since p_since, newest first: session time decides,
-- so a replay of 2013 asks for days of 2013.
create or replace function oms.trade_dates(p_venue text, p_since timestamptz)
returns setof date
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
    with touched as (
        select o.order_id, o.as_of from oms.orders o join ref.venues v using (venue_id)
        where v.venue = p_venue and o.updated_at >= p_since)
    select (t.as_of at time zone 'America/New_York')::date from touched t
    union
    select (e.as_of at time zone 'America/New_York')::date
    from oms.order_events e
    where e.recorded_at >= p_since and e.order_id in (select t.order_id from touched t)
    order by 1 desc
$$;
comment on function oms.trade_dates(text, timestamptz) is
    'The trade dates on which a venue may have traded for us since a time.';
grant execute on function oms.trade_dates(text, timestamptz) to tsdb_worker_gateway;
