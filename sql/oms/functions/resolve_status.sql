-- Applies the venue's answer to an OrderStatusRequest. An order in doubt takes the venue's status, or,
-- if the venue does not know it (ord_rej_reason 5, unknown_order), goes again with PossResend, or
-- is done with when its cancel was asked for already. A known order that the venue sees differently
-- becomes a break. Arguments, result and errors as in oms.record_report; an answer about an order we
-- do not know is archived and left.
create or replace function oms.resolve_status(p_venue text, p_message jsonb, p_report jsonb)
returns table (order_id bigint, status text, applied boolean)
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    v_message oms.fix_messages;
    v_order oms.orders;
    v_theirs constant text := p_report->>'ord_status';
    v_not_known constant boolean := v_theirs = 'rejected' and p_report->>'ord_rej_reason' in ('5', 'unknown_order');
begin
    perform oms._require_read_committed();
    v_message := oms._archive_report(p_message);
    select o.* into v_order
    from oms.order_actions a join oms.orders o using (order_id)
    where a.cl_ord_id in (p_report->>'cl_ord_id', p_report->>'orig_cl_ord_id')
    limit 1;
    if not found then
        return query select null::bigint, null::text, false;
        return;
    end if;
    perform oms._lock_account(v_order.session_id, v_order.account);
    select * into v_order from oms.orders o where o.order_id = v_order.order_id for update;
    perform oms._compare_quantity(v_order, v_order.cumulative_quantity, v_order.venue_id, p_report);
    if v_not_known then
        perform oms._settle_unknown(v_order, p_report, v_message.message_id);
    elsif v_order.status = 'unknown' then
        perform oms._settle_known(v_order, p_report, v_message);
    elsif v_theirs is distinct from v_order.status
        and v_order.status not in ('pending_cancel', 'pending_replace') then
        -- Two opinions: a person decides, nothing is patched.
        perform oms._note_break('status', v_order, v_order.venue_id,
            jsonb_build_object('status', v_order.status), p_report, p_source => 'status');
    end if;
    return query select o.order_id, o.status, o.status <> v_order.status
        from oms.orders o where o.order_id = v_order.order_id;
end
$$;
comment on function oms.resolve_status(text, jsonb, jsonb) is
    'Applies the answer to an order status request: settles an order in doubt, or records a break.';
grant execute on function oms.resolve_status(text, jsonb, jsonb) to tsdb_worker_gateway;
