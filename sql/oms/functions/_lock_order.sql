-- Takes the risk lock of an order's account, then the order itself, as it is then.
-- Errors: TT002 unknown order; TT003 isolation level.
create or replace function oms._lock_order(p_order_id bigint)
returns oms.orders
language plpgsql
as $$
declare
    v_order oms.orders;
begin
    perform oms._require_read_committed();
    select * into v_order from oms.orders o where o.order_id = p_order_id;
    if not found then
        raise exception 'order % does not exist', coalesce(p_order_id::text, 'null') using errcode = 'TT002';
    end if;
    perform oms._lock_account(v_order.session_id, v_order.account);
    select * into v_order from oms.orders o where o.order_id = p_order_id for update;
    return v_order;
end
$$;
comment on function oms._lock_order(bigint) is 'Locks an order and its account.';
