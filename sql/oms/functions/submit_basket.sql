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
declare
    v_orders risk.order_request[] := '{}';
    v_verdicts risk.verdict[] := '{}';
    v_verdict risk.verdict;
    v_order risk.order_request;
    v_json jsonb;
    v_all_passed boolean := true;
    v_reasons text[];
    v_order_id bigint;
    v_action_id bigint;
    v_cl_ord_id text;
    v_decision_id bigint;
    v_decided_at timestamptz;
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
    -- In one order for all callers, so that two baskets cannot wait for each other.
    perform oms._lock_account(a.session_id, a.account)
    from (select distinct o.session_id, o.account from unnest(v_orders) o order by 1, 2) a;

    for v_leg in 1 .. cardinality(v_orders) loop
        v_verdict := risk._evaluate(v_orders[v_leg], p_as_of, v_orders[1:v_leg - 1]);
        v_verdicts := v_verdicts || v_verdict;
        v_all_passed := v_all_passed and v_verdict.passed;
    end loop;

    for v_leg in 1 .. cardinality(v_orders) loop
        v_order := v_orders[v_leg];
        v_verdict := v_verdicts[v_leg];
        v_order_id := nextval('oms.orders_order_id_seq');
        v_cl_ord_id := null;
        v_reasons := case
            when v_all_passed then '{}'
            when v_verdict.passed then array['basket: another order of it was denied']
            else (
                select array_agg(u.c || ': ' || u.r order by u.n)
                from unnest(v_verdict.controls, v_verdict.passes, v_verdict.reasons)
                    with ordinality as u (c, p, r, n)
                where not u.p) end;
        insert into risk.decisions (order_id, as_of, passed, controls, passes, reasons, observed, limit_values)
        values (v_order_id, p_as_of, v_all_passed, v_verdict.controls, v_verdict.passes,
            v_verdict.reasons, v_verdict.observed, v_verdict.limit_values)
        returning decision_id, decided_at into v_decision_id, v_decided_at;
        if v_all_passed then
            v_action_id := nextval('oms.order_actions_action_id_seq');
            v_cl_ord_id := oms._cl_ord_id(v_action_id);
        end if;
        insert into oms.orders (order_id, session_id, request_id, request_leg, account, strategy_id,
            origin, signal_id, signal_as_of, signal_leg, pair_id, parent_order_id, plan_id, operator,
            instrument_id, venue_id, side, quantity, order_type, limit_price, stop_price, time_in_force,
            tags, status, reasons, cl_ord_id, leaves_quantity, event_count, as_of, decision_id, decided_at)
        overriding system value
        values (v_order_id, v_order.session_id, p_request_id, v_leg, v_order.account, v_order.strategy_id,
            v_order.origin, v_order.signal_id, v_order.signal_as_of, v_order.signal_leg, v_order.pair_id,
            v_order.parent_order_id, v_order.plan_id, v_order.operator, v_order.instrument_id,
            v_order.venue_id, v_order.side, v_order.quantity, v_order.order_type, v_order.limit_price,
            v_order.stop_price, v_order.time_in_force, v_order.tags,
            case when v_all_passed then 'pending_new' else 'denied' end, v_reasons, v_cl_ord_id,
            case when v_all_passed then v_order.quantity else 0 end, 1, p_as_of, v_decision_id, v_decided_at);
        insert into oms.order_events (order_id, event_no, kind, to_status, as_of, cumulative_quantity, leaves_quantity)
        values (v_order_id, 1, 'submitted', case when v_all_passed then 'pending_new' else 'denied' end,
            p_as_of, 0, case when v_all_passed then v_order.quantity else 0 end);
        if v_all_passed then
            insert into oms.order_actions (action_id, order_id, venue_id, kind, cl_ord_id, request_id)
            overriding system value
            values (v_action_id, v_order_id, v_order.venue_id, 'new', v_cl_ord_id, p_request_id);
        end if;
        order_id := v_order_id;
        status := case when v_all_passed then 'pending_new' else 'denied' end;
        reasons := v_reasons;
        return next;
    end loop;
    if v_all_passed then
        perform pg_notify('oms_order_actions', '');
    end if;
end
$$;
comment on function oms.submit_basket(jsonb, uuid, timestamptz) is
    'Submits several orders, all or none; idempotent by request id. Order keys: see oms.submit_order.';
grant execute on function oms.submit_basket(jsonb, uuid, timestamptz) to tsdb_worker, tsdb_operator;
