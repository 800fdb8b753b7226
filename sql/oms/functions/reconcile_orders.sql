-- Compares our working orders at a venue with its complete list of them. p_orders: array of reports as
-- in oms.record_report, one per order. p_asked_at: when the venue was asked; orders that have changed
-- since, or of which something is under way, are left for the next time. Kinds of breaks: status (we
-- think it works, the venue does not list it), unknown_order (the reverse), quantity, terms. What agrees
-- again is resolved. Returns the number of differences. Errors: TT002 unknown venue.
create or replace function oms.reconcile_orders(p_venue text, p_source text, p_asked_at timestamptz, p_orders jsonb)
returns integer
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_venue_id constant integer := ref._venue_id(p_venue);
    v_difference record;
    v_found bigint[] := '{}';
begin
    perform pg_advisory_xact_lock(hashtextextended('reconcile ' || p_venue, 0));
    for v_difference in
        with theirs as (
            select t.j as report, a.order_id
            from jsonb_array_elements(p_orders) t (j)
            left join lateral (
                select x.order_id from oms.order_actions x
                where x.cl_ord_id in (t.j->>'cl_ord_id', t.j->>'orig_cl_ord_id') limit 1) a on true
            where coalesce(t.j->>'ord_status', '') not in ('filled', 'cancelled', 'rejected', 'expired')),
        quiet as (
            select o.* from oms.orders o
            where o.venue_id = v_venue_id and o.updated_at < p_asked_at and not o.awaits_venue),
        compared as (
            select row(o.*)::oms.orders as known, t.report as theirs, '' as reference,
                jsonb_build_object('status', o.status, 'quantity', o.quantity::text,
                    'cum_qty', o.cumulative_quantity::text, 'limit_price', o.limit_price::text) as ours,
                case
                    when t.report is null or not o.is_live then 'status'
                    when (t.report->>'cum_qty')::numeric <> o.cumulative_quantity then 'quantity'
                    when (t.report->>'order_qty')::numeric <> o.quantity
                        or (t.report->>'price')::numeric <> o.limit_price
                        or (t.report->>'stop_px')::numeric <> o.stop_price then 'terms'
                end as kind
            from quiet o
            left join theirs t using (order_id)
            where o.is_live or t.report is not null
            union all
            select null, t.report, coalesce(t.report->>'order_id', t.report->>'cl_ord_id', ''), '{}', 'unknown_order'
            from theirs t where t.order_id is null)
        select * from compared c where c.kind is not null
    loop
        v_found := v_found || oms._note_break(v_difference.kind, v_difference.known, v_venue_id, v_difference.ours,
            coalesce(v_difference.theirs, '{"ord_status": "not listed"}'), v_difference.reference, p_source);
    end loop;
    perform oms._close_break(b.break_id, 'agreed', 'both sides say the same', 'reconciliation')
    from oms.breaks b
    left join oms.orders o using (order_id)
    where b.venue_id = v_venue_id and b.resolved_at is null and b.source = p_source and b.break_id <> all (v_found)
        and b.kind in ('status', 'quantity', 'terms', 'unknown_order')
        and (o.order_id is null or o.updated_at < p_asked_at and not o.awaits_venue);
    return (select count(*) from oms.breaks b where b.break_id = any (v_found) and b.resolved_at is null);
end
$$;
comment on function oms.reconcile_orders(text, text, timestamptz, jsonb) is
    'Compares our working orders at a venue with its complete list of them; records and resolves breaks; returns the number of differences.';
grant execute on function oms.reconcile_orders(text, text, timestamptz, jsonb)
    to tsdb_worker_gateway, tsdb_ops;
