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
    v_rates numeric[];
    v_rate_limits numeric[];
    v_exposure risk.exposure;
    v_loss risk.loss;
    v_reduces boolean;
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
    v_position numeric;
    v_position_limit numeric;
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
    -- The trading state, and the tightest limit per control. One that names a strategy looks at that strategy's position alone.
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
        array_agg(row(l.control, l.value, l.period)::risk.limit_over_time) filter (where l.period is not null) as over_time,
        min(t.state) as state, min(t.reason) as state_reason
    into v_limits
    from risk._state_of(v_keys) t
    left join risk._limits_of(v_keys, p_as_of) l on true;
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
    v_position := case when v_by_strategy then v_strategy_observed else v_account_observed end;
    v_position_limit := case when v_by_strategy then v_limits.strategy_position else v_limits.account_position end;
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
    v_reduces := coalesce(v_account_observed <= 0, false);
    v_value := v.rate * p_order.quantity * case when v_sign > 0 then v_price else greatest(v_price, v_adverse) end;
    v_on_tick := risk._is_on_tick(p_order, v_reference, p_as_of);
    if v_limits.over_time is not null then
        select r.observed, r.limit_values into v_rates, v_rate_limits
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

    -- All arrays by position: a constant, and built at once, which costs a third of rows and their aggregate.
    v_verdict.controls := array[
        'session', 'account', 'strategy', 'instrument', 'venue', 'halt', 'restricted',
        'market_data', 'clock_skew', 'tick_size', 'lot_size',
        'order_quantity', 'min_quantity', 'order_value', 'min_value',
        'price_collar', 'price_walk', 'price_band',
        'message_rate_account', 'message_rate_strategy', 'message_rate_venue',
        'submit_rate', 'duplicate_order', 'repeated_execution',
        'position', 'gross_exposure', 'net_exposure', 'sector_exposure',
        'name_exposure', 'credit', 'capital', 'buying_power',
        'locate', 'self_match', 'reduce_only',
        'daily_loss', 'drawdown', 'incremental_var', 'parent'];
    v_verdict.observed := array[
        null, null, null, null, null, null, null,
        v_age, v_skew, null, null,
        p_order.quantity, p_order.quantity, v_value, v_value,
        v_deviation, v_walk, null,
        v_rates[1], v_rates[2], v_rates[3],
        v_rates[4], v_rates[5], v_rates[6],
        v_position, v_exposure.gross, v_exposure.net, v_exposure.sector,
        v_exposure.name, v_exposure.credit, v_exposure.capital, v_exposure.buying_power,
        v_unlocated, v_matches, case when v_room is not null then v_adds end,
        v_loss.daily, v_loss.drawdown, v_var, null];
    v_verdict.limit_values := array[
        null, null, null, null, null, null, null,
        v_limits.market_data, v_limits.clock_skew, null, null,
        v_limits.order_quantity, v_limits.min_quantity, v_limits.order_value, v_limits.min_value,
        v_limits.price_collar, v_limits.price_walk, null,
        v_rate_limits[1], v_rate_limits[2], v_rate_limits[3],
        v_rate_limits[4], v_rate_limits[5], v_rate_limits[6],
        v_position_limit, v_limits.gross_exposure, v_limits.net_exposure, v_limits.sector_exposure,
        v_limits.name_exposure, v_limits.credit, v_limits.capital, v_limits.buying_power,
        v_limits.locate, v_limits.self_match, v_room,
        v_limits.daily_loss, v_limits.drawdown, v_limits.incremental_var, v_parent_remaining];
    -- Unknown is not passed. Where a limit is optional, unknown passes without one and with one does not.
    v_verdict.passes := array[
        coalesce(v.session_status = 'open', false),
        coalesce(v.account_status = 'active', false),
        coalesce(v.strategy_status = 'active', false),
        coalesce(v.instrument_status = 'active', false),
        coalesce(p_order.is_parent or v.venue_status = 'active', false),
        coalesce(v_limits.state = 'active' or v_limits.state = 'reducing' and v_reduces, false),
        v.restriction is null,
        coalesce(v_age >= 0 and v_age <= v_limits.market_data, false),
        coalesce(v_skew <= v_limits.clock_skew, v_limits.clock_skew is null),
        coalesce(v_on_tick, false),
        -- An odd position is got rid of by odd lots.
        coalesce(v_reduces or mod(p_order.quantity, v.lot_size) = 0, false),
        coalesce(p_order.quantity <= v_limits.order_quantity, false),
        coalesce(p_order.quantity >= v_limits.min_quantity, v_limits.min_quantity is null),
        coalesce(v_value <= v_limits.order_value, false),
        coalesce(v_value >= v_limits.min_value, v_limits.min_value is null),
        coalesce(v_deviation <= v_limits.price_collar, false),
        coalesce(v_walk <= v_limits.price_walk, v_limits.price_walk is null),
        coalesce(v_price >= v.band_low, v.band_low is null) and coalesce(v_price <= v.band_high, v.band_high is null),
        coalesce(v_rates[1] <= v_rate_limits[1], v_rate_limits[1] is null),
        coalesce(v_rates[2] <= v_rate_limits[2], v_rate_limits[2] is null),
        coalesce(v_rates[3] <= v_rate_limits[3], v_rate_limits[3] is null),
        coalesce(v_rates[4] <= v_rate_limits[4], v_rate_limits[4] is null),
        coalesce(v_rates[5] <= v_rate_limits[5], v_rate_limits[5] is null),
        coalesce(v_rates[6] <= v_rate_limits[6], v_rate_limits[6] is null),
        coalesce(v_position <= v_position_limit, false),
        v_reduces or coalesce(v_exposure.gross <= v_limits.gross_exposure, v_limits.gross_exposure is null),
        v_reduces or coalesce(v_exposure.net <= v_limits.net_exposure, v_limits.net_exposure is null),
        v_reduces or coalesce(v_exposure.sector <= v_limits.sector_exposure, v_limits.sector_exposure is null),
        v_reduces or coalesce(v_exposure.name <= v_limits.name_exposure, v_limits.name_exposure is null),
        v_reduces or coalesce(v_exposure.credit <= v_limits.credit, v_limits.credit is null),
        v_reduces or coalesce(v_exposure.capital <= v_limits.capital, v_limits.capital is null),
        v_reduces or coalesce(v_exposure.buying_power <= v_limits.buying_power, v_limits.buying_power is null),
        coalesce(v_unlocated <= v_limits.locate, v_limits.locate is null),
        coalesce(v_matches <= v_limits.self_match, v_limits.self_match is null),
        coalesce(v_adds <= v_room, true),
        v_reduces or coalesce(v_loss.daily <= v_limits.daily_loss, v_limits.daily_loss is null),
        v_reduces or coalesce(v_loss.drawdown <= v_limits.drawdown, v_limits.drawdown is null),
        v_reduces or coalesce(v_var <= v_limits.incremental_var, v_limits.incremental_var is null),
        v_parent_problem is null];
    v_verdict.passed := true = all (v_verdict.passes);
    if v_verdict.passed then
        v_verdict.reasons := array_fill(''::text, array[39]);
        return v_verdict;
    end if;
    v_verdict.reasons := risk._explain(v_verdict, array[
        'the session is ' || v.session_status, 'the account is ' || v.account_status,
        'the strategy is ' || v.strategy_status, 'the instrument is ' || v.instrument_status,
        'the venue is ' || v.venue_status, v_limits.state || ': ' || v_limits.state_reason,
        'restricted: ' || v.restriction,
        case when v_age < 0 then 'the latest quote is later than the order' end,
        case when v_skew is null then 'the session has no batch' end,
        'a price is no multiple of the tick size',
        'the quantity is no multiple of ' || trim_scale(v.lot_size),
        null, null,
        v_no_rate, v_no_rate,
        null, null,
        coalesce(trim_scale(v_price)::text, 'no price') || ' is outside the band of '
            || trim_scale(v.band_low) || ' to ' || trim_scale(v.band_high),
        null, null, null,
        null, null, null,
        null,
        case when v_exposure.gross is null then v_no_mark end,
        case when v_exposure.net is null then v_no_mark end,
        case when v_exposure.sector is null then coalesce(v_exposure.problem, 'no sector or no mark') end,
        case when v_exposure.name is null then v_no_mark end,
        case when v_exposure.credit is null then v_no_mark end,
        case when v_exposure.capital is null then v_no_mark end,
        case when v_exposure.buying_power is null then v_no_mark end,
        null, null,
        trim_scale(v_adds) || ' is more than the ' || trim_scale(greatest(v_room, 0)) || ' there are to reduce',
        case when v_loss.daily is null then coalesce(v_loss.problem, 'the day''s P&L is not known') end,
        case when v_loss.drawdown is null then coalesce(v_loss.problem, 'the P&L is not known') end,
        case when v_var is null then coalesce(v_no_rate, 'returns, marks or rates are missing') end,
        v_parent_problem]);
    return v_verdict;
end
$$;
comment on function risk._evaluate(risk.order_request, timestamptz, risk.order_request[], oms.orders) is 'All pre-trade controls on one order.';
