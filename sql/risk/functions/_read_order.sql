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
        'contingent_on', 'oco'];
    v_key text;
    v_order risk.order_request;
    v record;
    v_problem text;
begin
    if p_order is null or jsonb_typeof(p_order) <> 'object' then
        raise exception 'an order is a JSON object, not %', coalesce(jsonb_typeof(p_order), 'null')
            using errcode = 'TT001';
    end if;
    for v_key in select k from jsonb_object_keys(p_order) k where k <> all (v_known) loop
        raise exception 'order key "%" is unknown: use %', v_key, array_to_string(v_known, ', ')
            using errcode = 'TT001';
    end loop;
    foreach v_key in array array['session_id', 'account', 'strategy', 'origin', 'side', 'quantity',
                                 'order_type'] loop
        if p_order->>v_key is null then
            raise exception 'order key "%" is missing', v_key using errcode = 'TT001';
        end if;
    end loop;
    -- One cast of each value; what cannot be cast is named by the handler below.
    v_key := 'session_id';      v_order.session_id := p_order->>'session_id';
    v_key := 'quantity';        v_order.quantity := p_order->>'quantity';
    v_key := 'limit_price';     v_order.limit_price := p_order->>'limit_price';
    v_key := 'stop_price';      v_order.stop_price := p_order->>'stop_price';
    v_key := 'signal_id';       v_order.signal_id := p_order->>'signal_id';
    v_key := 'signal_as_of';    v_order.signal_as_of := p_order->>'signal_as_of';
    v_key := 'signal_leg';      v_order.signal_leg := p_order->>'signal_leg';
    v_key := 'pair_id';         v_order.pair_id := p_order->>'pair_id';
    v_key := 'parent_order_id'; v_order.parent_order_id := p_order->>'parent_order_id';
    v_key := 'plan_id';         v_order.plan_id := p_order->>'plan_id';
    v_key := 'instrument_id';   v_order.instrument_id := p_order->>'instrument_id';
    v_key := 'expire_at';       v_order.expire_at := p_order->>'expire_at';
    v_key := 'peg_offset';      v_order.peg_offset := p_order->>'peg_offset';
    v_key := 'display_quantity'; v_order.display_quantity := p_order->>'display_quantity';
    v_key := 'min_quantity';    v_order.min_quantity := p_order->>'min_quantity';
    v_key := 'contingent_on';   v_order.contingent_on := p_order->>'contingent_on';
    v_key := 'post_only';       v_order.post_only := coalesce((p_order->>'post_only')::boolean, false);
    v_key := 'reduce_only';     v_order.reduce_only := coalesce((p_order->>'reduce_only')::boolean, false);
    v_key := 'is_parent';       v_order.is_parent := coalesce((p_order->>'is_parent')::boolean, false);
    v_order.peg_reference := p_order->>'peg_reference';
    v_order.trader := p_order->>'trader';
    v_order.client_ref := p_order->>'client_ref';
    v_order.oco := p_order->>'oco';
    v_order.account := p_order->>'account';
    v_order.strategy := p_order->>'strategy';
    v_order.origin := p_order->>'origin';
    v_order.operator := p_order->>'operator';
    v_order.side := p_order->>'side';
    v_order.order_type := p_order->>'order_type';
    v_order.time_in_force := coalesce(p_order->>'time_in_force', 'day');
    v_order.tags := coalesce(p_order->'tags', '{}');

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

    if (p_order->>'symbol' is null) = (v_order.instrument_id is null) then
        raise exception 'an order names its instrument by either symbol or instrument_id' using errcode = 'TT001';
    end if;
    if v_order.is_parent and p_order->>'venue' is not null then
        raise exception 'a parent order has no venue: its children do' using errcode = 'TT001';
    end if;
    select
        exists (select from ops.sessions where session_id = v_order.session_id) as has_session,
        exists (select from ref.accounts where account = v_order.account) as has_account,
        v_order.parent_order_id is null
            or exists (select from oms.orders where order_id = v_order.parent_order_id) as has_parent,
        (select strategy_id from signal.strategies where strategy = v_order.strategy) as strategy_id,
        i.instrument_id, i.symbol, e.venue_id, e.venue
    into v
    from (values (1)) as one
    left join ref.instruments i on i.symbol = p_order->>'symbol' or i.instrument_id = v_order.instrument_id
    left join ref.venues e on not v_order.is_parent
        and e.venue = coalesce(p_order->>'venue', (select venue from ref.venues order by venue_id limit 1));
    v_problem := case
        when not v.has_session then
            format('session %s does not exist: open one with ops.open_session', v_order.session_id)
        when not v.has_account then format('account "%s" does not exist', v_order.account)
        when v.strategy_id is null then format('strategy "%s" does not exist', v_order.strategy)
        when v.instrument_id is null then
            format('instrument "%s" does not exist', coalesce(p_order->>'symbol', p_order->>'instrument_id'))
        when not v_order.is_parent and v.venue_id is null then
            format('venue "%s" does not exist', p_order->>'venue')
        when not v.has_parent then format('parent order %s does not exist', v_order.parent_order_id)
    end;
    if v_problem is not null then
        raise exception '%', v_problem using errcode = 'TT002';
    end if;
    v_order.strategy_id := v.strategy_id;
    v_order.instrument_id := v.instrument_id;
    v_order.symbol := v.symbol;
    v_order.venue_id := v.venue_id;
    v_order.venue := v.venue;
    return v_order;
exception
    when invalid_text_representation or numeric_value_out_of_range or invalid_datetime_format
        or datetime_field_overflow then
        raise exception 'order key "%" has the unusable value "%"', v_key, p_order->>v_key
            using errcode = 'TT001';
end
$$;
comment on function risk._read_order(jsonb) is 'Reads and checks a submitted order.';
