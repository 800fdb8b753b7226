-- Runs every control on one order at a session time. Fails closed: a missing limit, quote or rate
-- denies. A control that is not required (risk.controls) is off, and costs nothing, until a limit covers the
-- order; then what it needs and cannot have denies as well. p_ahead: orders of the same basket that count
-- as working already. p_current: the order as it is, when p_order is what it is to become. Contingent legs are judged in full when they are
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
    v_sign constant numeric := case p_order.side when 'buy' then 1 else -1 end;
    v_keys constant text[] := risk._scope_keys(p_order);
    v record;
    v_limits record;
    v_rates jsonb;
    v_state record;
    v_exposure risk.exposure;
    v_loss risk.loss;
    v_reduces boolean;
    v_sized text;
    v_on_tick boolean;
    v_value numeric;
    v_skew numeric;
    v_walk numeric;
    v_unlocated numeric;
    v_matches numeric;
    v_var numeric;
    v_no_rate text;
    v_no_mark text := 'a position or working order of the account has no mark';
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
        i.price_unit::numeric as price_unit, i.lot_size,
        (select string_agg(r.reason, '; ') from risk.restrictions r
         where r.instrument_id = i.instrument_id and (r.account is null or r.account = p_order.account)
             and (r.side is null or r.side = p_order.side or r.side = 'sell' and p_order.side = 'sell_short')
             and r.lifted_at is null and p_as_of >= r.valid_from and p_as_of < r.valid_to) as restriction,
        b.low as band_low, b.high as band_high,
        i.currency, a.currency as account_currency, case when i.currency = a.currency then 1.0 end as rate,
        q.ts as quote_ts, q.bid_price, q.ask_price,
        h.account_position, h.strategy_position, w.account_working, w.strategy_working, w.reducing
    into v
    from ref.instruments i
    left join ref.accounts a on a.account = p_order.account
    left join market.latest_quotes q
        on q.session_id = p_order.session_id and q.instrument_id = i.instrument_id
    left join lateral (
        select max(pb.low) as low, min(pb.high) as high
        from risk.price_bands pb
        where pb.instrument_id = i.instrument_id and (pb.session_id is null or pb.session_id = p_order.session_id)
            and pb.superseded_at = 'infinity' and p_as_of >= pb.valid_from and p_as_of < pb.valid_to) b on true
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
    if v.rate is null then
        v.rate := portfolio._rate_at(v.currency, v.account_currency, p_as_of);
        v_no_rate := portfolio._rate_problem(v.currency, v.account_currency, p_as_of);
    end if;
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
    select t.state, t.reason into v_state from risk._state_of(v_keys) t;
    -- The tightest limit per control. One that names a strategy looks at that strategy's position alone.
    select
        min(l.value) filter (where l.control = 'market_data') as market_data,
        min(l.value) filter (where l.control = 'order_quantity') as order_quantity,
        min(l.value) filter (where l.control = 'order_value') as order_value,
        min(l.value) filter (where l.control = 'price_collar') as price_collar,
        min(l.value) filter (where l.control = 'position' and l.scope ? 'strategy') as strategy_position,
        min(l.value) filter (where l.control = 'position' and not l.scope ? 'strategy') as account_position,
        max(l.value) filter (where l.control = 'min_quantity') as min_quantity,
        max(l.value) filter (where l.control = 'min_value') as min_value,
        min(l.value) filter (where l.control = 'clock_skew') as clock_skew,
        min(l.value) filter (where l.control = 'price_walk') as price_walk,
        min(l.value) filter (where l.control = 'gross_exposure') as gross_exposure,
        min(l.value) filter (where l.control = 'net_exposure') as net_exposure,
        min(l.value) filter (where l.control = 'sector_exposure') as sector_exposure,
        min(l.value) filter (where l.control = 'name_exposure') as name_exposure,
        min(l.value) filter (where l.control = 'credit') as credit,
        min(l.value) filter (where l.control = 'capital') as capital,
        min(l.value) filter (where l.control = 'buying_power') as buying_power,
        min(l.value) filter (where l.control = 'locate') as locate,
        min(l.value) filter (where l.control = 'self_match') as self_match,
        min(l.value) filter (where l.control = 'daily_loss') as daily_loss,
        min(l.value) filter (where l.control = 'drawdown') as drawdown,
        min(l.value) filter (where l.control = 'incremental_var') as incremental_var,
        array_agg(row(l.control, l.value, l.period)::risk.limit_over_time) filter (where l.period is not null) as over_time
    into v_limits
    from risk._limits_of(v_keys, p_as_of) l;
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
    -- Filled with all that works on its side, it does not get past flat: nothing on size or loss keeps that back.
    v_reduces := v_account_observed <= 0;
    v_sized := case when v_reduces then 'note' else 'option' end;
    v_value := v.rate * p_order.quantity * case when v_sign > 0 then v_price else greatest(v_price, v_adverse) end;
    v_on_tick := risk._is_on_tick(p_order, v_reference, p_as_of);
    if v_limits.over_time is not null then
        select jsonb_object_agg(r.control, jsonb_build_array(r.observed, r.limit_value)) into v_rates
        from risk._check_rates(p_order, p_as_of, p_ahead, p_current.order_id is null, v_limits.over_time) r;
    end if;
    if v_limits.clock_skew is not null then
        select abs(extract(epoch from p_as_of - b.as_of)) into v_skew
        from market.batches b where b.session_id = p_order.session_id
        order by b.batch_no desc limit 1;
    end if;
    if v_limits.price_walk is not null then
        -- Before the first execution nothing has walked. Of several periods the one with least left of its limit binds.
        select w.walk, l.value into v_walk, v_limits.price_walk
        from unnest(v_limits.over_time) l
        cross join lateral (
            select coalesce(abs(v_price / (
                select e.price from oms.executions e
                where e.session_id = p_order.session_id and e.ts > p_as_of - l.period
                    and e.account = p_order.account and e.instrument_id = p_order.instrument_id and e.kind = 'fill'
                order by e.ts, e.execution_id limit 1) - 1), case when v_price is not null then 0 end) as walk) w
        where l.control = 'price_walk'
        order by l.value - w.walk limit 1;
    end if;
    if num_nonnulls(v_limits.gross_exposure, v_limits.net_exposure, v_limits.sector_exposure, v_limits.name_exposure,
        v_limits.credit, v_limits.capital, v_limits.buying_power) > 0 then
        v_exposure := risk._exposure(p_order, p_ahead, p_current, v_adds, v_price,
            v_limits.capital is not null, p_as_of);
        v_no_mark := coalesce(v_exposure.problem, v_no_mark);
    end if;
    if v_limits.locate is not null then
        v_unlocated := case when v_sign > 0 then 0 else greatest(v_account_observed, 0) - (
            select coalesce(sum(l.quantity), 0)
            from ops.sessions s
            cross join lateral risk._trading_day(s.parameters->>'calendar', p_as_of) d
            join risk.locates l on l.trading_date = d.trading_date
            where s.session_id = p_order.session_id and l.account = p_order.account
                and l.instrument_id = p_order.instrument_id and l.withdrawn_at is null) end;
    end if;
    if v_limits.self_match is not null then
        select count(*) into v_matches
        from oms.orders o
        where o.session_id = p_order.session_id and o.instrument_id = p_order.instrument_id and o.is_live
            and not o.is_parent and (o.side = 'buy') <> (p_order.side = 'buy')
            and coalesce(v_sign * (p_order.limit_price - o.limit_price) >= 0, true);
        v_matches := v_matches + (
            select count(*) from unnest(p_ahead) a
            where a.session_id = p_order.session_id and a.instrument_id = p_order.instrument_id
                and a.contingent_on is null and not a.is_parent and (a.side = 'buy') <> (p_order.side = 'buy')
                and coalesce(v_sign * (p_order.limit_price - a.limit_price) >= 0, true));
    end if;
    if num_nonnulls(v_limits.daily_loss, v_limits.drawdown) > 0 then
        v_loss := risk._loss_of(p_order.session_id, p_order.account, p_as_of);
    end if;
    if v_limits.incremental_var is not null then
        v_var := risk._var_increment(p_order.session_id, p_order.account, p_order.instrument_id,
            (v_sign * v_adds * v_price * v.rate)::double precision, p_as_of);
    end if;

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
            case l.kind
                when 'rule' then coalesce(l.ok, false)
                when 'note' then true
                when 'limit' then coalesce(l.observed <= l.limit_value and l.ok, false)
                -- An option without a limit is off.
                when 'option' then l.limit_value is null or coalesce(l.observed <= l.limit_value and l.ok, false)
                else l.limit_value is null or coalesce(l.observed >= l.limit_value and l.ok, false) end as passed,
            case
                when l.kind = 'limit' and l.limit_value is null then 'no limit is set'
                when l.kind <> 'rule' and l.observed is null then coalesce(l.reason, 'no usable quote')
                when not coalesce(l.ok, false) then coalesce(l.reason, 'unknown')
                else trim_scale(round(l.observed, 8)) || case l.kind when 'floor' then ' is under' else ' is over' end
                    || ' the limit of ' || trim_scale(l.limit_value)
            end as reason
        from (values
            (1, 'session', 'rule', v.session_status = 'open', 'the session is ' || v.session_status, null, null),
            (2, 'account', 'rule', v.account_status = 'active', 'the account is ' || v.account_status, null, null),
            (3, 'strategy', 'rule', v.strategy_status = 'active', 'the strategy is ' || v.strategy_status, null, null),
            (4, 'instrument', 'rule', v.instrument_status = 'active', 'the instrument is ' || v.instrument_status, null, null),
            (5, 'venue', 'rule', p_order.is_parent or v.venue_status = 'active', 'the venue is ' || v.venue_status, null, null),
            (6, 'halt', 'rule', v_state.state = 'active' or v_state.state = 'reducing' and v_reduces,
                v_state.state || ': ' || v_state.reason, null, null),
            (7, 'restricted', 'rule', v.restriction is null, 'restricted: ' || v.restriction, null, null),
            (8, 'market_data', 'limit', v_age >= 0, 'the latest quote is later than the order', v_age, v_limits.market_data),
            (9, 'clock_skew', 'option', true, 'the session has no batch', v_skew, v_limits.clock_skew),
            (10, 'tick_size', 'rule', v_on_tick, 'a price is no multiple of the tick size', null, null),
            -- An odd position is got rid of by odd lots.
            (11, 'lot_size', 'rule', mod(p_order.quantity, v.lot_size) = 0 or v_reduces,
                'the quantity is no multiple of ' || trim_scale(v.lot_size), null, null),
            (12, 'order_quantity', 'limit', true, null, p_order.quantity, v_limits.order_quantity),
            (13, 'min_quantity', 'floor', true, null, p_order.quantity, v_limits.min_quantity),
            (14, 'order_value', 'limit', true, v_no_rate, v_value, v_limits.order_value),
            (15, 'min_value', 'floor', true, v_no_rate, v_value, v_limits.min_value),
            (16, 'price_collar', 'limit', true, null, v_deviation, v_limits.price_collar),
            (17, 'price_walk', 'option', true, null, v_walk, v_limits.price_walk),
            (18, 'price_band', 'rule', coalesce(v_price >= v.band_low, v.band_low is null)
                and coalesce(v_price <= v.band_high, v.band_high is null),
                coalesce(trim_scale(v_price)::text, 'no price') || ' is outside the band of '
                || trim_scale(v.band_low) || ' to ' || trim_scale(v.band_high), null, null),
            (19, 'message_rate_account', 'option', true, null,
                (v_rates #>> '{message_rate_account,0}')::numeric, (v_rates #>> '{message_rate_account,1}')::numeric),
            (20, 'message_rate_strategy', 'option', true, null,
                (v_rates #>> '{message_rate_strategy,0}')::numeric, (v_rates #>> '{message_rate_strategy,1}')::numeric),
            (21, 'message_rate_venue', 'option', true, null,
                (v_rates #>> '{message_rate_venue,0}')::numeric, (v_rates #>> '{message_rate_venue,1}')::numeric),
            (22, 'submit_rate', 'option', true, null,
                (v_rates #>> '{submit_rate,0}')::numeric, (v_rates #>> '{submit_rate,1}')::numeric),
            (23, 'duplicate_order', 'option', true, null,
                (v_rates #>> '{duplicate_order,0}')::numeric, (v_rates #>> '{duplicate_order,1}')::numeric),
            (24, 'repeated_execution', 'option', true, null,
                (v_rates #>> '{repeated_execution,0}')::numeric, (v_rates #>> '{repeated_execution,1}')::numeric),
            (25, 'position', 'limit', true, null,
                case when v_by_strategy then v_strategy_observed else v_account_observed end,
                case when v_by_strategy then v_limits.strategy_position else v_limits.account_position end),
            (26, 'gross_exposure', v_sized, true, v_no_mark, v_exposure.gross, v_limits.gross_exposure),
            (27, 'net_exposure', v_sized, true, v_no_mark, v_exposure.net, v_limits.net_exposure),
            (28, 'sector_exposure', v_sized, true, coalesce(v_exposure.problem, 'no sector or no mark'), v_exposure.sector, v_limits.sector_exposure),
            (29, 'name_exposure', v_sized, true, v_no_mark, v_exposure.name, v_limits.name_exposure),
            (30, 'credit', v_sized, true, v_no_mark, v_exposure.credit, v_limits.credit),
            (31, 'capital', v_sized, true, v_no_mark, v_exposure.capital, v_limits.capital),
            (32, 'buying_power', v_sized, true, v_no_mark, v_exposure.buying_power, v_limits.buying_power),
            (33, 'locate', 'option', true, null, v_unlocated, v_limits.locate),
            (34, 'self_match', 'option', true, null, v_matches, v_limits.self_match),
            (35, 'reduce_only', 'rule', coalesce(v_adds <= v_room, true),
                trim_scale(v_adds) || ' is more than the ' || trim_scale(greatest(v_room, 0)) || ' there are to reduce',
                case when v_room is not null then v_adds end, v_room),
            (36, 'daily_loss', v_sized, true, coalesce(v_loss.problem, 'the day''s P&L is not known'), v_loss.daily, v_limits.daily_loss),
            (37, 'drawdown', v_sized, true, coalesce(v_loss.problem, 'the P&L is not known'), v_loss.drawdown, v_limits.drawdown),
            (38, 'incremental_var', v_sized, true, coalesce(v_no_rate, 'returns, marks or rates are missing'), v_var, v_limits.incremental_var),
            (39, 'parent', 'rule', v_parent_problem is null, v_parent_problem, null, v_parent_remaining)
        ) as l (no, control, kind, ok, reason, observed, limit_value)
        order by l.no) c;
    return v_verdict;
end
$$;
comment on function risk._evaluate(risk.order_request, timestamptz, risk.order_request[], oms.orders) is 'All pre-trade controls on one order.';
