-- Submits several orders, all or none: in one transaction it locks their accounts, runs every
-- control, records the decisions, and inserts the orders as pending_new, or all as denied with the
-- reasons. A request id that was used for the same orders returns them and does nothing.
-- p_orders: array of objects as in oms.submit_order. p_as_of: session time.
-- Errors: TT001 unusable order; TT002 unknown name; TT003 isolation level; TT006 request id reused.
create or replace function oms.submit_basket(p_orders jsonb, p_request_id uuid, p_as_of timestamptz)
returns table (order_id bigint, status text, reasons text[])
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    v_orders risk.order_request[] := '{}';
    v_verdict risk.verdict;
    v_order risk.order_request;
    v_reasons text[];
    v_order_id bigint;
    v_order_ids bigint[] := '{}';
    v_decision_id bigint;
    v_decided_at timestamptz;
    v_all_passed boolean := true;
    v_json jsonb;
begin
    perform oms._require_read_committed();
    if jsonb_typeof(p_orders) is distinct from 'array' or jsonb_array_length(p_orders) = 0 then
        raise exception 'a basket is an array of at least one order' using errcode = 'TT001';
    end if;
    if p_as_of is null then
        raise exception 'an order needs p_as_of, the session time' using errcode = 'TT001';
    end if;
    if not oms._claim_request(p_request_id, 'submit', p_orders::text) then
        return query
            select o.order_id, o.status, o.reasons from oms.orders o
            where o.request_id = p_request_id order by o.request_leg;
        return;
    end if;
    for v_json in select j from jsonb_array_elements(p_orders) with ordinality as t (j, n) order by n loop
        v_orders := v_orders || risk._read_order(v_json);
    end loop;
    -- One order for all callers, so that two baskets cannot wait for each other.
    perform oms._lock_account(a.session_id, a.account)
    from (select distinct o.session_id, o.account from unnest(v_orders) o order by 1, 2) a;

    -- One by one, because each order must see the ones before it as working.
    for v_leg in 1 .. cardinality(v_orders) loop
        v_order := v_orders[v_leg];
        v_verdict := risk._evaluate(v_order, p_as_of);
        v_all_passed := v_all_passed and v_verdict.passed;
        select coalesce(array_agg(c || ': ' || r order by n) filter (where not p), '{}') into v_reasons
        from unnest(v_verdict.controls, v_verdict.passes, v_verdict.reasons) with ordinality as u (c, p, r, n);
        v_order_id := nextval('oms.orders_order_id_seq');
        v_order_ids := v_order_ids || v_order_id;
        insert into risk.decisions (order_id, as_of, passed, controls, passes, reasons, observed, limit_values)
        values (v_order_id, p_as_of, v_verdict.passed, v_verdict.controls, v_verdict.passes,
            v_verdict.reasons, v_verdict.observed, v_verdict.limit_values)
        returning decision_id, decided_at into v_decision_id, v_decided_at;
        insert into oms.orders (order_id, session_id, request_id, request_leg, account, strategy_id,
            origin, signal_id, signal_as_of, signal_leg, pair_id, parent_order_id, plan_id, operator,
            instrument_id, venue_id, side, quantity, order_type, limit_price, stop_price, time_in_force,
            tags, status, reasons, cl_ord_id, leaves_quantity, as_of, decision_id, decided_at)
        overriding system value
        values (v_order_id, v_order.session_id, p_request_id, v_leg, v_order.account, v_order.strategy_id,
            v_order.origin, v_order.signal_id, v_order.signal_as_of, v_order.signal_leg, v_order.pair_id,
            v_order.parent_order_id, v_order.plan_id, v_order.operator, v_order.instrument_id,
            v_order.venue_id, v_order.side, v_order.quantity, v_order.order_type, v_order.limit_price,
            v_order.stop_price, v_order.time_in_force, v_order.tags,
            case when v_verdict.passed then 'pending_new' else 'denied' end, v_reasons,
            -- Replaced by the action's below; not null so that the order is complete at all times.
            case when v_verdict.passed then 'order-' || v_order_id end,
            case when v_verdict.passed then v_order.quantity else 0 end,
            p_as_of, v_decision_id, v_decided_at);
    end loop;

    if not v_all_passed then
        update oms.orders o
        set status = 'denied', reasons = array['basket: another order of it was denied'],
            cl_ord_id = null, leaves_quantity = 0
        where o.order_id = any (v_order_ids) and o.status = 'pending_new';
    end if;
    foreach v_order_id in array v_order_ids loop
        if v_all_passed then
            perform oms._add_action(v_order_id, 'new', p_request_id);
        end if;
        perform oms._add_event(v_order_id, 'submitted', null, p_as_of);
    end loop;
    return query
        select o.order_id, o.status, o.reasons from oms.orders o
        where o.order_id = any (v_order_ids) order by o.order_id;
end
$$;
comment on function oms.submit_basket(jsonb, uuid, timestamptz) is
    'Submits several orders, all or none; idempotent by request id. Order keys: see oms.submit_order.';
grant execute on function oms.submit_basket(jsonb, uuid, timestamptz) to tsdb_worker, tsdb_operator;
