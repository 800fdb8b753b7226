-- Reads an order as submitted (see oms.submit_order for the keys) into risk.order_request.
-- Errors: TT001 a key that is unknown, missing or of no use; TT002 a name that does not exist.
create or replace function risk._read_order(p_order jsonb)
returns risk.order_request
language plpgsql
stable
as $$
declare
    v_known constant text[] := array['session_id', 'account', 'strategy', 'origin', 'signal_id',
        'signal_as_of', 'signal_leg', 'pair_id', 'parent_order_id', 'plan_id', 'operator', 'symbol',
        'instrument_id', 'side', 'quantity', 'order_type', 'limit_price', 'stop_price',
        'time_in_force', 'venue', 'tags', 'expire_at', 'peg_reference', 'peg_offset', 'post_only',
        'display_quantity', 'min_quantity', 'reduce_only', 'trader', 'client_ref', 'is_parent',
        'contingent_on', 'oco', 'authorisation_id'];
    v_order risk.order_request;
    v record;
    v_problem text;
begin
    if p_order is null or jsonb_typeof(p_order) <> 'object' then
        raise exception 'an order is a JSON object, not %', coalesce(jsonb_typeof(p_order), 'null')
            using errcode = 'TT001';
    end if;
    if p_order - v_known <> '{}' then
        raise exception 'order key "%" is unknown: use %', (select min(k) from jsonb_object_keys(p_order - v_known) k),
            array_to_string(v_known, ', ') using errcode = 'TT001';
    end if;
    if num_nulls(p_order->>'session_id', p_order->>'account', p_order->>'strategy', p_order->>'origin', p_order->>'side',
        p_order->>'quantity', p_order->>'order_type') > 0 then
        raise exception 'order key "%" is missing', (
            select k from unnest(array['session_id', 'account', 'strategy', 'origin', 'side', 'quantity', 'order_type'])
                with ordinality as u (k, n)
            where p_order->>k is null order by n limit 1) using errcode = 'TT001';
    end if;
    begin
        v_order := jsonb_populate_record(v_order, p_order);
    exception
        when invalid_text_representation or numeric_value_out_of_range or invalid_datetime_format
            or datetime_field_overflow then
            perform risk._refuse_value(p_order);
    end;
    v_order.time_in_force := coalesce(v_order.time_in_force, 'day');
    v_order.post_only := coalesce(v_order.post_only, false);
    v_order.reduce_only := coalesce(v_order.reduce_only, false);
    v_order.is_parent := coalesce(v_order.is_parent, false);
    v_order.tags := coalesce(v_order.tags, '{}');

    if v_order.origin not in ('signal', 'parent', 'plan', 'operator') then
        raise exception 'origin "%" is none of signal, parent, plan, operator', v_order.origin
            using errcode = 'TT001';
    end if;
    if (v_order.signal_id is not null) <> (v_order.origin = 'signal')
        or (v_order.signal_as_of is not null) <> (v_order.origin = 'signal')
        or (v_order.signal_leg is not null) <> (v_order.origin = 'signal')
        or (v_order.parent_order_id is not null) <> (v_order.origin = 'parent')
        or (v_order.plan_id is not null) <> (v_order.origin = 'plan')
        or (v_order.operator is not null) <> (v_order.origin = 'operator') then
        raise exception 'origin "%" needs its own id and no other: signal: signal_id, signal_as_of and signal_leg; parent: parent_order_id; plan: plan_id; operator: operator', v_order.origin
            using errcode = 'TT001';
    end if;
    if v_order.order_type = 'pegged' then
        v_order.peg_offset := coalesce(v_order.peg_offset, 0);
    end if;
    perform risk._check_terms(v_order);

    if (v_order.symbol is null) = (v_order.instrument_id is null) then
        raise exception 'an order names its instrument by either symbol or instrument_id' using errcode = 'TT001';
    end if;
    if v_order.is_parent and v_order.venue is not null then
        raise exception 'a parent order has no venue: its children do' using errcode = 'TT001';
    end if;
    select
        exists (select from ops.sessions where session_id = v_order.session_id) as has_session,
        exists (select from ref.accounts where account = v_order.account) as has_account,
        (select strategy_id from signal.strategies where strategy = v_order.strategy) as strategy_id,
        i.instrument_id, i.symbol, i.sector, e.venue_id, e.venue
    into v
    from (values (1)) as one
    left join ref.instruments i on i.instrument_id = coalesce(v_order.instrument_id,
        (select n.instrument_id from ref.instruments n where n.symbol = v_order.symbol))
    left join ref.venues e on not v_order.is_parent
        and e.venue = coalesce(v_order.venue, (select venue from ref.venues order by venue_id limit 1));
    v_problem := case
        when not v.has_session then
            format('session %s does not exist: open one with ops.open_session', v_order.session_id)
        when not v.has_account then format('account "%s" does not exist', v_order.account)
        when v.strategy_id is null then format('strategy "%s" does not exist', v_order.strategy)
        when v.instrument_id is null then
            format('instrument "%s" does not exist', coalesce(v_order.symbol, v_order.instrument_id::text))
        when not v_order.is_parent and v.venue_id is null then
            format('venue "%s" does not exist', v_order.venue)
    end;
    -- Apart, so that the orders without them do not pay for it.
    if v_problem is null and num_nonnulls(v_order.parent_order_id, v_order.plan_id, v_order.authorisation_id) > 0 then
        v_problem := case
            when v_order.parent_order_id is not null
                and not exists (select from oms.orders where order_id = v_order.parent_order_id)
                then format('parent order %s does not exist', v_order.parent_order_id)
            when v_order.plan_id is not null
                and not exists (select from risk.reduction_plans where plan_id = v_order.plan_id)
                then format('reduction plan %s does not exist', v_order.plan_id)
            when v_order.authorisation_id is not null
                and not exists (select from risk.authorisations where authorisation_id = v_order.authorisation_id)
                then format('authorisation %s does not exist', v_order.authorisation_id)
        end;
    end if;
    if v_problem is not null then
        raise exception '%', v_problem using errcode = 'TT002';
    end if;
    v_order.strategy_id := v.strategy_id;
    v_order.instrument_id := v.instrument_id;
    v_order.symbol := v.symbol;
    v_order.sector := v.sector;
    v_order.venue_id := v.venue_id;
    v_order.venue := v.venue;
    return v_order;
end
$$;
comment on function risk._read_order(jsonb) is 'Reads and checks a submitted order.';
