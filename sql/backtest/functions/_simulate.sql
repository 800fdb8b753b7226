-- The simulation of a run whose row exists: signals, errors, orders, executions and equity, in one statement.
-- Each leg's order is the change of its target, filled whole:
--   fill same  at the last price known: a quote's sides, a bar's close;
--   fill next  at the open of the next bar, over quotes at the next quote. Where none is left, at the
--              last price known (reason last_price).
-- price = reference + side * (half the spread + slippage + impact), as the cost model says, where reference
-- is the mid, the open or the close. Errors: TT001 no prices.
create or replace function backtest._simulate(
    p_run_id bigint,
    p_run jsonb,
    p_costs backtest.cost_models,
    p_from timestamptz,
    p_to timestamptz
)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
set work_mem = '256MB'
as $$
declare
    v_times timestamptz[];
    v_series backtest.price_series[];
    v_opened timestamptz[];
    v_first integer;
    v_strategy_id constant integer := (
        select s.strategy_id from signal.strategies s where s.strategy = p_run->>'strategy');
    v_next constant boolean := p_run->>'fill' = 'next';
    v_bars constant boolean := p_run->>'source' in ('bars', 'daily');
    v_capital constant numeric := p_run->>'capital';
    v_impact constant double precision := case when p_run->>'source' = 'daily' then p_costs.impact_coefficient else 0 end;
    v_bps constant double precision := (p_costs.slippage_bps
        + case when p_run->>'source' in ('bars', 'daily') then p_costs.bar_half_spread_bps else 0 end) / 10000;
begin
    select s.times, s.series into v_times, v_series
    from backtest._read_series(
        p_run, array(select distinct u.id from backtest._instances(p_run) i
                     cross join lateral unnest(i.instruments) u (id) order by 1), p_from, p_to) s;
    v_first := 1 + coalesce(width_bucket(p_from, v_times), 0);
    if v_first > cardinality(v_times) then
        raise exception 'no prices of the instruments from % to % in source %', p_from, p_to, p_run->>'source'
            using errcode = 'TT001';
    end if;
    v_opened := backtest._opened(p_run, v_times);
    update backtest.runs r set data_watermark = backtest._data_watermark(p_run, v_times, v_series, p_from, p_to)
    where r.run_id = p_run_id;

    with decisions as materialized (
        select * from backtest._decide(p_run, v_times, v_opened, v_series, p_from, p_to)
    ),
    kept_signals as (
        insert into backtest.signals
            (run_id, pair_id, as_of, event, target, spread, z_score, instruments, quantities, traded, refusal)
        select p_run_id, d.instance_id, d.as_of, d.event, d.target, d.spread, d.z_score, d.instruments, d.quantities,
               d.traded, d.refusal
        from decisions d
        where d.problem is null
        order by d.as_of, d.instance_id
    ),
    kept_errors as (
        insert into backtest.run_errors (run_id, instance_id, as_of, sql_state, message)
        select p_run_id, d.instance_id, d.as_of, d.sql_state, d.problem
        from decisions d
        where d.problem is not null
    ),
    changes as materialized (
        select d.instance_id, d.as_of, d.event, d.moment, l.leg::smallint as leg, l.instrument_id,
               l.quantity - l.before as delta,
               row_number() over (order by d.as_of, d.instance_id, d.event, l.leg) as order_id
        from decisions d
        cross join lateral unnest(d.instruments, d.quantities, d.before)
            with ordinality l (instrument_id, quantity, before, leg)
        where d.traded and l.quantity <> l.before
    ),
    -- No sort after the join: a row of the series is as long as its arrays.
    fills as materialized (
        select c.*, x.at, x.ts, round(x.reference::numeric, 8) as reference, x.flag,
               round((x.reference + sign(c.delta) * (x.half_spread + x.reference * (v_bps + coalesce(m.impact, 0))))::numeric, 8) as price,
               m.impact is null as unmeasured,
               round((abs(c.delta) * x.reference * coalesce(m.impact, 0))::numeric, 8) as impact,
               round((abs(c.delta) * x.factor)::numeric, 6) as shares
        from changes c
        join unnest(v_series) s on s.instrument_id = c.instrument_id
        -- A series among the selected columns is made one by one, in order, and only until the limit is reached;
        -- as a table it would be made whole for every fill.
        cross join lateral (
            select case when s.mids[c.moment] <> 'NaN' then c.moment
                        else (select g.n from (select generate_series(c.moment, 1, -1) as n) g
                              where s.mids[g.n] <> 'NaN' limit 1) end as last,
                   case when not v_next then null
                        when v_bars then
                            case when s.opens[c.moment + 1] <> 'NaN' then c.moment + 1
                                 else (select g.n from (select generate_series(c.moment + 1, cardinality(v_times)) as n) g
                                       where s.opens[g.n] <> 'NaN' limit 1) end
                        when s.mids[c.moment + 1] <> 'NaN' then c.moment + 1
                        else (select g.n from (select generate_series(c.moment + 1, cardinality(v_times)) as n) g
                              where s.mids[g.n] <> 'NaN' limit 1) end as next) k
        cross join lateral (
            select coalesce(k.next, case when v_next then least(c.moment + 1, cardinality(v_times)) else c.moment end) as at,
                   case when k.next is not null then coalesce(v_opened[k.next], v_times[k.next])
                        when v_next then v_times[least(c.moment + 1, cardinality(v_times))]
                        else c.as_of end as ts,
                   case when k.next is not null and v_bars then s.opens[k.next]
                        else s.mids[coalesce(k.next, k.last)] end as reference,
                   case when v_bars then 0
                        else p_costs.spread_share * (s.asks[coalesce(k.next, k.last)] - s.bids[coalesce(k.next, k.last)]) / 2
                        end as half_spread,
                   s.factors[coalesce(k.next, k.last)] as factor,
                   case when v_next and k.next is null then 'last_price' end as flag,
                   -- What the bars before the fill say.
                   coalesce(k.next - 1, c.moment) as known) x
        cross join lateral (
            select case when v_impact = 0 then 0
                        else backtest.impact(
                            c.delta, v.volume, w.volatility, v_impact, p_costs.impact_exponent::float8) end as impact
            from (
                select case when count(r.change) >= 2 then stddev_samp(r.change) end as volatility
                from (
                    select ln(u.mark / nullif(lag(u.mark) over (order by u.n), 0)) as change
                    from unnest(s.marks[x.known - p_costs.impact_days:x.known]) with ordinality u (mark, n)
                    where u.mark <> 'NaN' and v_impact > 0) r) w
            cross join (
                select avg(u.volume) as volume
                from unnest(s.volumes[x.known - p_costs.impact_days + 1:x.known]) u (volume)
                where u.volume <> 'NaN' and v_impact > 0) v) m
    ),
    priced as materialized (
        select f.*, case when f.delta > 0 then 'buy' else 'sell' end as side, abs(f.delta)::numeric as quantity,
               greatest(p_costs.fee_minimum, round(p_costs.fee_per_share * f.shares
                   + p_costs.fee_bps / 10000 * abs(f.delta) * f.price, 8)) as fee
        from fills f
    ),
    kept_orders as (
        insert into backtest.orders
            (run_id, order_id, pair_id, instrument_id, event, side, quantity, order_type, status, as_of, strategy_id,
             signal_as_of, signal_leg, cumulative_quantity, traded_value, reasons)
        select p_run_id, f.order_id, f.instance_id, f.instrument_id, f.event, f.side, f.quantity, 'market', 'filled',
               f.as_of, v_strategy_id, f.as_of, f.leg, f.quantity, f.quantity * f.price,
               case when f.flag is null then '{}' else array[f.flag] end
        from priced f
    ),
    kept_executions as (
        insert into backtest.executions
            (run_id, execution_id, order_id, instrument_id, side, quantity, price, fee, slippage, impact, ts,
             strategy_id, trade_date)
        select p_run_id, f.order_id, f.order_id, f.instrument_id, f.side, f.quantity, f.price, f.fee,
               f.delta * (f.price - f.reference), f.impact, f.ts, v_strategy_id,
               (f.ts at time zone 'America/New_York')::date
        from priced f
    ),
    -- Of a portfolio instruments, else instances.
    held as (
        select distinct c.instance_id, case when c.instance_id is null then c.instrument_id end
        from changes c group by c.instance_id, c.instrument_id having sum(c.delta) <> 0
    ),
    warned as (
        update backtest.runs r
        set warnings = r.warnings || w.found, open_positions = w.open
        from (
            select coalesce(jsonb_agg(g.warning), '[]') as found, (select count(*) from held) as open
            from (
                select jsonb_build_object('kind', f.flag, 'orders', count(*)) as warning
                from priced f where f.flag is not null group by f.flag
                union all
                select jsonb_build_object('kind', 'impact_unknown', 'orders', count(*))
                from priced f where f.unmeasured having count(*) > 0
                union all
                select jsonb_build_object(
                           'kind', 'failed', 'instances', count(*),
                           'first', (array_agg(d.instance_id order by d.as_of, d.instance_id))[1],
                           'reason', (array_agg(d.problem order by d.as_of, d.instance_id))[1])
                from decisions d where d.problem is not null having count(*) > 0
                union all
                select jsonb_build_object('kind', d.event, 'signals', count(*))
                from decisions d where d.event = 'delisted' group by d.event
                union all
                select jsonb_build_object('kind', 'open_at_end', 'positions', count(*)) from held having count(*) > 0) g) w
        where r.run_id = p_run_id
    ),
    booked as materialized (
        select f.instrument_id, f.at, sum(sum(f.delta)) over w as position,
               lead(f.at, 1, cardinality(v_times) + 1) over w as until
        from priced f
        group by f.instrument_id, f.at
        window w as (partition by f.instrument_id order by f.at)
    ),
    -- In units of 1e-7: sums of integers are the same in any order.
    marked as (
        select b.at - 1 + u.n as moment, sum((b.position * u.mark * 1e7)::bigint) as value
        from booked b
        join unnest(v_series) s on s.instrument_id = b.instrument_id
        cross join lateral unnest(s.marks[b.at:b.until - 1]) with ordinality u (mark, n)
        where b.position <> 0
        group by 1
    ),
    paid as (
        select f.at as moment, sum(f.delta * f.price + f.fee) as paid from priced f group by f.at
    ),
    accounts as (
        select t.n, t.as_of, coalesce(m.value, 0) / 1e7 as market_value,
               v_capital - coalesce(sum(c.paid) over (order by t.n rows unbounded preceding), 0) as cash
        from unnest(v_times) with ordinality t (as_of, n)
        left join marked m on m.moment = t.n
        left join paid c on c.moment = t.n
        where t.n >= v_first
    ),
    peaks as (
        select a.*, greatest(v_capital, max(a.cash + a.market_value) over (order by a.n rows unbounded preceding)) as peak
        from accounts a
    )
    insert into backtest.equity
        (run_id, as_of, trading_date, cash, market_value, equity, pnl, high_water_mark, drawdown)
    select p_run_id, k.as_of, (k.as_of at time zone 'America/New_York')::date, k.cash, k.market_value,
           k.cash + k.market_value, k.cash + k.market_value - v_capital, k.peak, k.peak - k.cash - k.market_value
    from peaks k
    order by k.n;
end
$$;
comment on function backtest._simulate(bigint, jsonb, backtest.cost_models, timestamptz, timestamptz) is
    'Writes the signals, orders, executions and equity of a run.';
