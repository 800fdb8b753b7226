-- The orders that a venue may be working, with what it takes to cancel each without asking again: a
-- gateway keeps them for the case that the database is lost.
create or replace function oms.working_orders(p_venue text)
returns table (
    cl_ord_id text, venue_order_id text, session_id uuid, account text, symbol text, side text,
    quantity numeric, as_of timestamptz)
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
    select o.cl_ord_id, o.venue_order_id, o.session_id, o.account, i.symbol, o.side, o.quantity, o.as_of
    from oms.orders o
    join ref.venues v using (venue_id)
    join ref.instruments i using (instrument_id)
    where o.is_live and not o.is_parent and v.venue = p_venue
    order by o.order_id
$$;
comment on function oms.working_orders(text) is
    'The orders that a venue may be working, with what it takes to cancel each.';
grant execute on function oms.working_orders(text) to tsdb_worker_gateway;
