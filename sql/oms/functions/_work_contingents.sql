-- Brings the orders that depend on this one to the quantity they should have now, in the transaction
-- that changed it: those it triggers, those of its group, and itself. An order should fill
-- min(ceiling, what its trigger has filled) - what the others of its group have filled: a held one is
-- released for that much, a working one is replaced to it, or cancelled when nothing is left for it.
-- What is under way at the venue is awaited: its answer comes through here again.
create or replace function oms._work_contingents(p_order_id bigint, p_as_of timestamptz)
returns void
language plpgsql
as $$
declare
    v record;
    v_order oms.orders;
    v_terms oms.orders;
    v_trigger_id bigint;
begin
    for v in
        select o.order_id,
            least(o.ceiling_quantity, t.cumulative_quantity) - coalesce((
                select sum(g.cumulative_quantity) from oms.orders g
                where g.oco_group_id = o.oco_group_id and g.order_id <> o.order_id), 0) as wanted,
            -- Nothing will ever come of it: the trigger is over without a fill, or the group is full.
            (t.order_id is not null and not t.is_live and t.cumulative_quantity = 0 and t.status <> 'held')
                or coalesce(t.cumulative_quantity, o.ceiling_quantity) > 0 as settled
        from oms.orders c
        join oms.orders o on o.order_id = c.order_id or o.trigger_order_id = c.order_id
            or o.oco_group_id = c.oco_group_id
        left join oms.orders t on t.order_id = o.trigger_order_id
        where c.order_id = p_order_id and o.ceiling_quantity is not null and (o.is_live or o.status = 'held')
        order by o.order_id
    loop
        -- An event of the loop may have moved it already.
        select o.* into v_order from oms.orders o where o.order_id = v.order_id;
        if v_order.status = 'held' and v.wanted > 0 then
            perform oms._release(v_order, v.wanted, p_as_of);
        elsif v.wanted <= v_order.cumulative_quantity and v.settled and (v_order.is_live or v_order.status = 'held') then
            perform oms._cancel(v_order, null, p_as_of);
        elsif v_order.status in ('new', 'partially_filled') and v.wanted <> v_order.quantity and v.wanted > 0 then
            v_terms := v_order;
            v_terms.quantity := v.wanted;
            perform oms._add_replace(v_order, v_terms, null, p_as_of);
        end if;
    end loop;
    select coalesce(o.trigger_order_id, o.order_id) into v_trigger_id from oms.orders o where o.order_id = p_order_id;
    perform oms._rearm(v_trigger_id, p_as_of);
end
$$;
comment on function oms._work_contingents(bigint, timestamptz) is
    'Brings contingent orders to the quantity that their trigger and group leave them.';
