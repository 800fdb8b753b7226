-- Takes back an action that can or shall not be sent: a new order is rejected, a replace or cancel is void
-- and the order is what it was. Only a pending action, of which the caller knows that it never left;
-- one that is not pending any more stays as it is. p_reason goes after 'gateway: '. Returns the order's
-- status. Errors: TT002 unknown action; TT003 isolation level.
create or replace function oms.refuse_action(p_action_id bigint, p_reason text)
returns text
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_reason constant text := 'gateway: ' || coalesce(nullif(p_reason, ''), 'no reason given');
    v_detail constant jsonb := jsonb_build_object('text', v_reason, 'action_id', p_action_id);
    v_order_id bigint;
    v_order oms.orders;
    v_action oms.order_actions;
    v_before text;
begin
    select a.order_id into v_order_id from oms.order_actions a where a.action_id = p_action_id;
    if not found then
        raise exception 'action % does not exist', coalesce(p_action_id::text, 'null') using errcode = 'TT002';
    end if;
    v_order := oms._lock_order(v_order_id);
    update oms.order_actions a set status = 'void'
    where a.action_id = p_action_id and a.status = 'pending'
    returning a.* into v_action;
    if not found then
        return v_order.status;
    end if;
    if v_action.kind = 'new' then
        -- Whatever else was asked about it has nothing to refer to.
        update oms.order_actions a set status = 'void' where a.order_id = v_order_id and a.status = 'pending';
        update oms.orders o set pending_quantity = null, reasons = array[v_reason] where o.order_id = v_order_id;
        perform oms._add_event(v_order_id, 'refused', 'rejected', null, p_detail => v_detail);
    else
        if v_action.kind = 'replace' then
            update oms.orders o set pending_quantity = oms._pending_quantity(o.order_id) where o.order_id = v_order_id;
        end if;
        -- As it was before anything was asked.
        select e.from_status into v_before from oms.order_events e
        where e.order_id = v_order_id and e.kind in ('replace_requested', 'cancel_requested')
            and e.from_status not in ('pending_replace', 'pending_cancel')
        order by e.event_no desc limit 1;
        perform oms._add_event(v_order_id, v_action.kind || '_refused',
            case
                when v_order.status not in ('pending_cancel', 'pending_replace') then null
                when v_before = 'pending_new' and v_order.venue_order_id is null and not exists (
                    select from oms.order_actions a
                    where a.order_id = v_order_id and a.kind <> 'new' and a.status in ('pending', 'sent'))
                    then 'pending_new'
                else oms._idle_status(v_order_id, v_before, v_order.cumulative_quantity) end,
            null, p_detail => v_detail);
    end if;
    return (select o.status from oms.orders o where o.order_id = v_order_id);
end
$$;
comment on function oms.refuse_action(bigint, text) is
    'Takes back an action that can or shall not be sent; returns the order''s status. Errors: TT002 unknown action, TT003 isolation level.';
grant execute on function oms.refuse_action(bigint, text) to tsdb_worker_gateway;
