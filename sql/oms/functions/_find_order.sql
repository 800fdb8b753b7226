-- The order a report is about: by any ClOrdID it ever had, or, where the venue names none of ours (it
-- acted by itself), by the venue's own OrderID. All null when nobody knows it.
create or replace function oms._find_order(
    p_venue_id integer,
    p_report jsonb,
    out order_id bigint,
    out session_id uuid,
    out account text
)
language plpgsql
stable
as $$
#variable_conflict use_column
begin
    select o.order_id, o.session_id, o.account into order_id, session_id, account
    from oms.order_actions a join oms.orders o using (order_id)
    where a.cl_ord_id in (p_report->>'cl_ord_id', p_report->>'orig_cl_ord_id')
    limit 1;
    if not found and p_report->>'cl_ord_id' is null then
        select o.order_id, o.session_id, o.account into order_id, session_id, account
        from oms.orders o
        where o.venue_id = p_venue_id and o.venue_order_id = p_report->>'order_id';
    end if;
end
$$;
comment on function oms._find_order(integer, jsonb) is 'The order a report is about, and its account.';
