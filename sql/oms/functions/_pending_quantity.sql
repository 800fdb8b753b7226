-- The largest quantity of an order's replaces that the venue has not answered, or null.
create or replace function oms._pending_quantity(p_order_id bigint)
returns numeric
language sql
stable
as $$
    select pg_catalog.max(a.quantity) from oms.order_actions a
    where a.order_id = p_order_id and a.kind = 'replace' and a.status in ('pending', 'sent')
$$;
comment on function oms._pending_quantity(bigint) is 'The largest quantity of an unanswered replace.';
