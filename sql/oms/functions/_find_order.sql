-- The order a report is about: by any ClOrdID it ever had, or, where the venue names none of ours (it
-- acted by itself), by the venue's own OrderID. All null when nobody knows it.
create or replace function oms._find_order(p_venue_id integer, p_report jsonb)
returns oms.orders
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
    v_order oms.orders;
begin
    select o.* into v_order
    from oms.order_actions a join oms.orders o using (order_id)
    where a.cl_ord_id in (p_report->>'cl_ord_id', p_report->>'orig_cl_ord_id')
    limit 1;
    if not found and p_report->>'cl_ord_id' is null then
        select o.* into v_order from oms.orders o
        where o.venue_id = p_venue_id and o.venue_order_id = p_report->>'order_id';
    end if;
    return v_order;
end
$$;
comment on function oms._find_order(integer, jsonb) is 'The order a report is about.';
