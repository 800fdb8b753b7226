-- Makes new orders for what a trigger has filled since orders that it had released were over: an exit
-- that filled early, and those it took down with it, would leave later fills without one. What
-- somebody else cancelled, or the venue ended, is not made again.
create or replace function oms._rearm(p_trigger_id bigint, p_as_of timestamptz)
returns void
language plpgsql
as $$
declare
    v_old oms.orders;
    v_new oms.orders;
begin
    for v_old in
        select c.*
        from oms.orders t
        join oms.orders c on c.trigger_order_id = t.order_id
        where t.order_id = p_trigger_id
            and not exists (select from oms.orders n where n.succeeds_order_id = c.order_id)
            and (c.status = 'filled' or c.status = 'cancelled' and exists (
                select from oms.order_actions a
                where a.order_id = c.order_id and a.kind = 'cancel' and a.request_id is null))
            -- Its group, itself included, has filled less than the trigger has.
            and (
                select sum(g.cumulative_quantity) from oms.orders g
                where g.order_id = c.order_id or g.oco_group_id = c.oco_group_id)
                < least(t.cumulative_quantity, c.ceiling_quantity)
        order by c.order_id
    loop
        update oms.orders set oco_group_id = coalesce(oco_group_id, order_id)
        where order_id = v_old.order_id returning oco_group_id into v_old.oco_group_id;
        v_new := v_old;
        v_new.order_id := nextval('oms.orders_order_id_seq');
        v_new.request_leg := (select max(o.request_leg) + 1 from oms.orders o where o.request_id = v_old.request_id);
        v_new.succeeds_order_id := v_old.order_id;
        v_new.quantity := v_old.ceiling_quantity;
        v_new.status := 'held';
        v_new.reasons := '{}';
        v_new.cl_ord_id := null;
        perform oms._insert_order(v_new);
    end loop;
    if found then
        perform oms._work_contingents(p_trigger_id, p_as_of);
    end if;
end
$$;
comment on function oms._rearm(bigint, timestamptz) is 'Makes contingent orders anew when all were over too early.';
