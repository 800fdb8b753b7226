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
    v_row oms.orders;
    v_all_passed boolean := true;
    v_order_ids bigint[] := '{}';
    v_groups jsonb := '{}';
    v_depend boolean := false;
    v_action_id bigint;
begin
    perform ops._audit('oms.submit_basket', p_request_id::text,
        jsonb_build_object('orders', p_orders, 'as_of', p_as_of));
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
    for v_leg in 0 .. jsonb_array_length(p_orders) - 1 loop
        v_order := risk._read_order(p_orders->v_leg);
        if v_order.expire_at is not null then
            perform risk._check_expiry(v_order.expire_at, p_as_of);
        end if;
        v_orders := v_orders || v_order;
        v_order_ids := v_order_ids || nextval('oms.orders_order_id_seq');
        v_depend := v_depend or v_order.contingent_on is not null or v_order.oco is not null;
        if v_order.oco is not null then
            -- A group is named after its first order.
            v_groups := jsonb_build_object(v_order.oco, v_order_ids[cardinality(v_order_ids)]) || v_groups;
        end if;
    end loop;
    if v_depend then
        perform oms._check_contingencies(v_orders);
    end if;
    if cardinality(v_orders) = 1 then
        perform oms._lock_account(v_order.session_id, v_order.account);
        perform oms._lock_shared(v_order.session_id);
    else
        -- In one order for all callers, so that two baskets cannot wait for each other.
        perform oms._lock_account(a.session_id, a.account)
        from (select distinct o.account, o.session_id from unnest(v_orders) o order by 1, 2) a;
        perform oms._lock_shared(s.session_id)
        from (select distinct o.session_id from unnest(v_orders) o order by 1) s;
    end if;

    for v_leg in 1 .. cardinality(v_orders) loop
        v_verdict := risk._decide(v_orders[v_leg], p_as_of, v_orders[1:v_leg - 1], null, clock_timestamp());
        v_verdicts := v_verdicts || v_verdict;
        v_all_passed := v_all_passed and v_verdict.passed;
    end loop;

    for v_leg in 1 .. cardinality(v_orders) loop
        v_order := v_orders[v_leg];
        v_verdict := v_verdicts[v_leg];
        v_row := risk._as_row(v_order);
        v_row.order_id := v_order_ids[v_leg];
        v_row.request_id := p_request_id;
        v_row.request_leg := v_leg;
        v_row.as_of := p_as_of;
        v_row.trigger_order_id := v_order_ids[v_order.contingent_on];
        v_row.oco_group_id := (v_groups->>v_order.oco)::bigint;
        v_row.is_contingent := v_depend and (v_order.contingent_on is not null or v_order.oco is not null
            or exists (select from unnest(v_orders) o where o.contingent_on = v_leg));
        v_row.ceiling_quantity := case
            when v_order.contingent_on is not null or v_order.oco is not null then v_order.quantity end;
        v_row.status := case
            when not v_all_passed then 'denied'
            when v_order.contingent_on is not null then 'held'
            when v_order.is_parent then 'new'
            else 'pending_new' end;
        v_row.reasons := case
            when v_all_passed then '{}'
            when v_verdict.passed then array['basket: another order of it was denied']
            else risk._reasons(v_verdict) end;
        v_row.decided_at := clock_timestamp();
        v_row.decision_id := risk._record_decision(v_row.order_id, p_as_of, v_verdict, v_all_passed, 'new',
            v_row.decided_at);
        if v_row.status = 'pending_new' then
            v_action_id := nextval('oms.order_actions_action_id_seq');
            v_row.cl_ord_id := oms._cl_ord_id(v_action_id);
        end if;
        perform oms._insert_order(v_row);
        if v_all_passed and v_order.authorisation_id is not null and array_to_string(v_verdict.reasons, '') <> '' then
            perform risk._use_authorisation(v_order.authorisation_id, v_row.order_id);
        end if;
        if not v_verdict.passed and not v_verdict.passes[array_position(v_verdict.controls, 'repeated_execution')] then
            -- Whatever restarts, a person has to look at it first.
            perform risk.disable_strategy(v_order.strategy, array_to_string(v_row.reasons, '; '));
            perform ops.raise_alert('strategy_disabled', 'critical', 'strategy ' || v_order.strategy || ' is disabled: '
                || array_to_string(v_row.reasons, '; '), jsonb_build_object('order_id', v_row.order_id));
        end if;
        if v_row.status = 'pending_new' then
            insert into oms.order_actions (action_id, order_id, venue_id, kind, cl_ord_id, request_id, session_id,
                account, strategy_id, as_of)
            overriding system value
            values (v_action_id, v_row.order_id, v_row.venue_id, 'new', v_row.cl_ord_id, p_request_id,
                v_row.session_id, v_row.account, v_row.strategy_id, p_as_of);
        end if;
        order_id := v_row.order_id;
        status := v_row.status;
        reasons := v_row.reasons;
        return next;
    end loop;
    if v_all_passed then
        perform pg_notify('oms_order_actions', '');
    end if;
end
$$;
comment on function oms.submit_basket(jsonb, uuid, timestamptz) is
    'Submits several orders, all or none; idempotent by request id. Order keys: see oms.submit_order; legs may depend on each other by contingent_on and oco. Errors: TT001 unusable order, TT002 unknown name, TT003 isolation level, TT006 request id reused.';
grant execute on function oms.submit_basket(jsonb, uuid, timestamptz) to tsdb_trader_role;
