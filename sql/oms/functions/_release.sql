-- Sends a held order for a quantity, if every control passes now; if not, it is denied and a person is
-- told, because what it was to protect is not protected. The caller holds the account's lock.
create or replace function oms._release(p_order oms.orders, p_quantity numeric, p_as_of timestamptz)
returns void
language plpgsql
as $$
declare
    v_order oms.orders := p_order;
    -- The fill has the venue's time, and the market may have moved on since: what protects a position must
    -- not be denied because a quote is newer than that.
    v_as_of constant timestamptz := greatest(p_as_of, (
        select q.ts from market.latest_quotes q
        where q.session_id = p_order.session_id and q.instrument_id = p_order.instrument_id));
    v_verdict risk.verdict;
    v_action_id bigint;
    v_cl_ord_id text;
begin
    v_order.quantity := p_quantity;
    v_order.min_quantity := least(p_order.min_quantity, p_quantity);
    v_order.display_quantity := least(p_order.display_quantity, p_quantity);
    perform oms._lock_shared(p_order.session_id);
    v_verdict := risk._decide(risk._restate_order(v_order), v_as_of, '{}', p_order, clock_timestamp());
    perform risk._record_decision(p_order.order_id, v_as_of, v_verdict, v_verdict.passed, 'release', clock_timestamp());
    if not v_verdict.passed then
        update oms.orders set reasons = risk._reasons(v_verdict) where order_id = p_order.order_id;
        perform oms._add_event(p_order.order_id, 'released', 'denied', v_as_of,
            p_detail => jsonb_build_object('reasons', risk._reasons(v_verdict)));
        perform ops.raise_alert('contingent_denied', 'critical',
            'contingent order ' || p_order.order_id || ' was denied when its trigger filled: '
            || array_to_string(risk._reasons(v_verdict), '; '),
            jsonb_build_object('order_id', p_order.order_id, 'trigger_order_id', p_order.trigger_order_id));
        return;
    end if;
    v_action_id := nextval('oms.order_actions_action_id_seq');
    v_cl_ord_id := oms._cl_ord_id(v_action_id);
    update oms.orders set quantity = v_order.quantity, min_quantity = v_order.min_quantity,
        display_quantity = v_order.display_quantity, cl_ord_id = v_cl_ord_id
    where order_id = p_order.order_id;
    perform oms._add_event(p_order.order_id, 'released', 'pending_new', v_as_of,
        p_detail => jsonb_build_object('quantity', p_quantity::text, 'cl_ord_id', v_cl_ord_id));
    insert into oms.order_actions (action_id, order_id, venue_id, kind, cl_ord_id, request_id, session_id, account,
        strategy_id, as_of)
    overriding system value
    values (v_action_id, p_order.order_id, p_order.venue_id, 'new', v_cl_ord_id, p_order.request_id,
        p_order.session_id, p_order.account, p_order.strategy_id, v_as_of);
    perform pg_notify('oms_order_actions', '');
end
$$;
comment on function oms._release(oms.orders, numeric, timestamptz) is 'Sends a held order.';
