-- What may still fill of a live order, an unanswered replace included: what limits count.
create or replace function oms._exposed(p_order oms.orders)
returns numeric
language sql
immutable
as $$
    select greatest((p_order).quantity - (p_order).cumulative_quantity,
        (p_order).pending_quantity - (p_order).cumulative_quantity, 0)
$$;
comment on function oms._exposed(oms.orders) is 'What may still fill of a live order.';
