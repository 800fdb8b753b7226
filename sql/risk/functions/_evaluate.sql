-- Runs every control on one order at a session time. Fails closed: a missing limit, quote or rate
-- denies. p_ahead: orders of the same basket that count as working already. p_current: the order as
-- it is, when p_order is what it is to become. Contingent legs are judged in full when they are
-- released; on submission they count as nothing in the market.
-- The caller holds the account's lock when the answer is to be relied on.
create or replace function risk._evaluate(
    p_order risk.order_request,
    p_as_of timestamptz,
    p_ahead risk.order_request[] default '{}',
    p_current oms.orders default null
)
returns risk.verdict
language plpgsql
stable
as $$
declare
    v_scope constant jsonb := risk._scope(p_order);
    v_sign constant numeric := case p_order.side when 'buy' then 1 else -1 end;
    v record;
    v_limits record;
    v_parent_problem text;
    v_parent_remaining numeric;
    v_account_observed numeric;
    v_strategy_observed numeric;
    v_by_strategy boolean;
    v_reference numeric;
    v_adverse numeric;
    v_price numeric;
    v_deviation numeric;
    v_adds numeric;
    v_room numeric;
    v_age numeric;
    v_verdict risk.verdict;
begin
    -- One statement, one snapshot: a fill that commits meanwhile moves its quantity from the working
    -- orders to the position, and must not be seen in both or in neither.
    select
        (select status from ops.sessions where session_id = p_order.session_id) as session_status,
        a.status as account_status,
        (select status from signal.strategies where strategy_id = p_order.strategy_id) as strategy_status,
        (select status from ref.venues where venue_id = p_order.venue_id) as venue_status,
        i.status as instrument_status,
        i.price_unit::numeric as price_unit,
        i.currency = a.currency as same_currency,
        (select string_agg(reason, '; ') from risk.halts
         where resumed_at is null and v_scope @> scope
             and (state = 'halted' or not p_order.reduce_only)) as halt_reason,
        q.ts as quote_ts, q.bid_price, q.ask_price,
        h.account_position, h.strategy_position, w.account_working, w.strategy_working, w.reducing
    into v
    from ref.instruments i
    left join ref.accounts a on a.account = p_order.account
    left join market.latest_quotes q
        on q.session_id = p_order.session_id and q.instrument_id = i.instrument_id
    cross join lateral (
        select coalesce(sum(p.quantity), 0) as account_position,
            coalesce(sum(p.quantity) filter (where p.strategy_id = p_order.strategy_id), 0) as strategy_position
        from portfolio._positions p
        where p.session_id = p_order.session_id and p.account = p_order.account
            and p.instrument_id = p_order.instrument_id) h
    cross join lateral (
        -- Only the side that adds to this order. A parent counts, and its children with it.
        select coalesce(sum(oms._exposed(o)), 0) as account_working,
            coalesce(sum(oms._exposed(o)) filter (where o.strategy_id = p_order.strategy_id), 0) as strategy_working,
            coalesce(sum(oms._exposed(o)) filter (where o.reduce_only), 0) as reducing
        from oms.orders o
        where o.session_id = p_order.session_id and o.account = p_order.account
            and o.instrument_id = p_order.instrument_id and o.is_live and o.parent_order_id is null
            and o.order_id is distinct from p_current.order_id
            and (o.side = 'buy') = (p_order.side = 'buy')) w
    where i.instrument_id = p_order.instrument_id;
    if cardinality(p_ahead) > 0 then
        -- What the basket's earlier legs add to that.
        select v.account_working + coalesce(sum(a.quantity), 0),
            v.strategy_working + coalesce(sum(a.quantity) filter (where a.strategy_id = p_order.strategy_id), 0),
            v.reducing + coalesce(sum(a.quantity) filter (where a.reduce_only), 0)
        into v.account_working, v.strategy_working, v.reducing
        from unnest(p_ahead) a
        where a.session_id = p_order.session_id and a.account = p_order.account
            and a.instrument_id = p_order.instrument_id and a.parent_order_id is null
            and a.contingent_on is null and (a.side = 'buy') = (p_order.side = 'buy')
            -- Of a group only one order fills: this one counts for all.
            and (a.oco is distinct from p_order.oco or a.oco is null);
    end if;
    -- The tightest limit per control. One that names a strategy looks at that strategy's position alone.
    select
        min(l.value) filter (where l.control = 'market_data') as market_data,
        min(l.value) filter (where l.control = 'order_quantity') as order_quantity,
        min(l.value) filter (where l.control = 'order_value') as order_value,
        min(l.value) filter (where l.control = 'price_collar') as price_collar,
        min(l.value) filter (where l.control = 'position' and l.scope ? 'strategy') as strategy_position,
        min(l.value) filter (where l.control = 'position' and not l.scope ? 'strategy') as account_position
    into v_limits
    from risk.limits l
    where l.superseded_at = 'infinity' and p_as_of >= l.valid_from and p_as_of < l.valid_to and v_scope @> l.scope;
    if p_order.parent_order_id is not null then
        select p.problem, p.remaining into v_parent_problem, v_parent_remaining
        from risk._parent_room(p_order, p_current) p;
    end if;

    v_adds := case
        when p_order.contingent_on is not null or p_order.parent_order_id is not null then 0
        else p_order.quantity - coalesce(p_current.cumulative_quantity, 0) end;
    v_account_observed := v_sign * v.account_position + v.account_working + v_adds;
    v_strategy_observed := v_sign * v.strategy_position + v.strategy_working + v_adds;
    -- Of the two positions' limits the one with less left of it binds.
    v_by_strategy := coalesce(v_limits.strategy_position - v_strategy_observed
        < v_limits.account_position - v_account_observed, v_limits.strategy_position is not null);
    v_reference := (v.bid_price + v.ask_price) / (2 * v.price_unit);
    v_adverse := case when v_sign > 0 then v.ask_price else v.bid_price end / v.price_unit;
    -- A stop trades at its stop price or worse, a market order at the adverse quote.
    v_price := coalesce(p_order.limit_price, v_sign * greatest(v_sign * p_order.stop_price, v_sign * v_adverse), v_adverse);
    v_deviation := case p_order.order_type
        -- A stop on the far side of the market waits, however far; on the near side it trades at once.
        when 'stop' then greatest(v_sign * (v_adverse - p_order.stop_price) / v_reference, 0)
        when 'stop_limit' then abs(p_order.limit_price / p_order.stop_price - 1)
        else abs(v_price / v_reference - 1) end;
    v_room := case
        when p_order.reduce_only and p_order.contingent_on is null
            then -v_sign * v.account_position - v.reducing end;
    v_age := extract(epoch from p_as_of - v.quote_ts);

    select
        bool_and(c.passed),
        array_agg(c.control),
        array_agg(c.passed),
        array_agg(case when c.passed then '' else c.reason end),
        array_agg(c.observed),
        array_agg(c.limit_value)
    into v_verdict
    from (
        select l.control, l.observed, l.limit_value,
            coalesce(case when l.needs_limit then l.observed <= l.limit_value else l.ok end, false)
                and coalesce(l.ok, false) as passed,
            case
                when l.needs_limit and l.limit_value is null then 'no limit is set'
                when l.needs_limit and l.observed is null then coalesce(l.reason, 'no usable quote')
                when not coalesce(l.ok, false) then coalesce(l.reason, 'unknown')
                else trim_scale(round(l.observed, 8)) || ' is over the limit of ' || trim_scale(l.limit_value)
            end as reason
        from (values
            (1, 'session', false, v.session_status = 'open', 'the session is ' || v.session_status, null, null),
            (2, 'account', false, v.account_status = 'active', 'the account is ' || v.account_status, null, null),
            (3, 'strategy', false, v.strategy_status = 'active', 'the strategy is ' || v.strategy_status, null, null),
            (4, 'instrument', false, v.instrument_status = 'active', 'the instrument is ' || v.instrument_status, null, null),
            (5, 'venue', false, p_order.is_parent or v.venue_status = 'active', 'the venue is ' || v.venue_status, null, null),
            (6, 'halt', false, v.halt_reason is null, 'halted: ' || v.halt_reason, null, null),
            (7, 'market_data', true, v_age >= 0, 'the latest quote is later than the order', v_age, v_limits.market_data),
            (8, 'order_quantity', true, true, null, p_order.quantity, v_limits.order_quantity),
            (9, 'order_value', true, v.same_currency, 'no rate between the currencies of instrument and account',
                p_order.quantity * case when v_sign > 0 then v_price else greatest(v_price, v_adverse) end,
                v_limits.order_value),
            (10, 'price_collar', true, true, null, v_deviation, v_limits.price_collar),
            (11, 'position', true, true, null,
                case when v_by_strategy then v_strategy_observed else v_account_observed end,
                case when v_by_strategy then v_limits.strategy_position else v_limits.account_position end),
            (12, 'reduce_only', false, coalesce(v_adds <= v_room, true),
                trim_scale(v_adds) || ' is more than the ' || trim_scale(greatest(v_room, 0)) || ' there are to reduce',
                case when v_room is not null then v_adds end, v_room),
            (13, 'parent', false, v_parent_problem is null, v_parent_problem, null, v_parent_remaining)
        ) as l (no, control, needs_limit, ok, reason, observed, limit_value)
        order by l.no) c;
    return v_verdict;
end
$$;
comment on function risk._evaluate(risk.order_request, timestamptz, risk.order_request[], oms.orders) is 'All pre-trade controls on one order.';
