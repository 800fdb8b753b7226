-- The simulation of a run whose row exists: signals, orders, executions and equity, in one
-- statement. Each leg's order is the change of its target, filled whole at the last quote known.
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
as $$
begin
    with pairs as materialized (
        select p.pair_id, p.instrument_a, p.instrument_b,
               signal.read_parameters(p.parameters, p_run->'changes') as parameters
        from jsonb_array_elements_text(p_run->'pairs') e (pair_id)
        join signal.pairs p on p.pair_id = e.pair_id::bigint
    ),
    quotes as materialized (
        select q.* from backtest._run_quotes(
            p_run,
            array(select p.instrument_a from pairs p union select p.instrument_b from pairs p),
            p_from, p_to) q
    ),
    inputs as (
        select p.pair_id, q.as_of,
               max(q.mid) filter (where q.instrument_id = p.instrument_a) as mid_a,
               max(q.mid) filter (where q.instrument_id = p.instrument_b) as mid_b
        from pairs p join quotes q on q.instrument_id in (p.instrument_a, p.instrument_b)
        group by p.pair_id, q.as_of
    ),
    states as (
        select n.pair_id, n.as_of,
               signal.run_pairs(row(n.as_of, n.mid_a, n.mid_b)::signal.pairs_input, p.parameters)
                   over (partition by n.pair_id order by n.as_of rows unbounded preceding) as state,
               p.instrument_a, p.instrument_b
        from inputs n join pairs p on p.pair_id = n.pair_id
    ),
    signalled as materialized (
        select s.pair_id, s.as_of, s.state, s.instrument_a, s.instrument_b,
               lag((s.state).quantity_a, 1, 0::bigint) over w as before_a,
               lag((s.state).quantity_b, 1, 0::bigint) over w as before_b
        from states s
        where (s.state).event is not null
        window w as (partition by s.pair_id order by s.as_of)
    ),
    kept_signals as (
        insert into backtest.signals (run_id, pair_id, as_of, event, target, spread, z_score)
        select p_run_id, s.pair_id, s.as_of, (s.state).event, (s.state).target, (s.state).spread,
               (s.state).z_score
        from signalled s
    ),
    -- Until when each quote is the last one known.
    spans as materialized (
        select q.*, lead(q.as_of, 1, 'infinity') over (partition by q.instrument_id order by q.as_of) as until
        from quotes q
    ),
    changes as (
        select s.as_of, s.pair_id, l.leg, l.instrument_id, (s.state).event, l.delta,
               row_number() over (order by s.as_of, s.pair_id, l.leg) as order_id
        from signalled s
        cross join lateral (values
            (1, s.instrument_a, ((s.state).quantity_a - s.before_a)::numeric),
            (2, s.instrument_b, ((s.state).quantity_b - s.before_b)::numeric)
        ) l (leg, instrument_id, delta)
        where l.delta <> 0
    ),
    fills as materialized (
        select c.*, (q.bid_price + q.ask_price) / 2 as mid,
               round((q.bid_price + q.ask_price) / 2 + sign(c.delta) * (
                   p_costs.spread_share * (q.ask_price - q.bid_price) / 2
                   + case when p_run->>'source' = 'bars'
                       then p_costs.bar_half_spread_bps / 10000 * q.bid_price else 0 end), 8) as price,
               abs(c.delta) * p_costs.fee_per_share as fee
        from changes c
        join spans q on q.instrument_id = c.instrument_id and q.as_of <= c.as_of and c.as_of < q.until
    ),
    kept_orders as (
        insert into backtest.orders
            (run_id, order_id, pair_id, instrument_id, event, side, quantity, order_type, status, as_of)
        select p_run_id, f.order_id, f.pair_id, f.instrument_id, f.event,
               case when f.delta > 0 then 'buy' else 'sell' end, abs(f.delta), 'market', 'filled', f.as_of
        from fills f
    ),
    kept_executions as (
        insert into backtest.executions
            (run_id, execution_id, order_id, instrument_id, side, quantity, price, fee, slippage, ts)
        select p_run_id, f.order_id, f.order_id, f.instrument_id,
               case when f.delta > 0 then 'buy' else 'sell' end, abs(f.delta), f.price, f.fee,
               f.delta * (f.price - f.mid), f.as_of
        from fills f
    ),
    -- What each instrument's position, cash and mark become at each time something changes; the
    -- equity at a time is the sum of these changes up to it.
    cash as (
        select f.as_of, f.instrument_id, sum(f.delta) as quantity, sum(f.delta * f.price + f.fee) as paid
        from fills f group by f.as_of, f.instrument_id
    ),
    marks as (
        select coalesce(q.as_of, c.as_of) as as_of, coalesce(q.instrument_id, c.instrument_id) as instrument_id,
               (q.bid_price + q.ask_price) / 2 as mid,
               coalesce(c.quantity, 0) as quantity, coalesce(c.paid, 0) as paid
        from quotes q full join cash c on c.instrument_id = q.instrument_id and c.as_of = q.as_of
    ),
    held as (
        select m.as_of, m.instrument_id,
               sum(m.quantity) over w as position, sum(m.paid) over w as paid,
               max(case when m.mid is not null then m.as_of end) over w as marked_at
        from marks m
        window w as (partition by m.instrument_id order by m.as_of rows unbounded preceding)
    ),
    worth as (
        select h.as_of, h.instrument_id,
               h.position * (q.bid_price + q.ask_price) / 2 - h.paid as value
        from held h join quotes q on q.instrument_id = h.instrument_id and q.as_of = h.marked_at
    ),
    steps as (
        select w.as_of, sum(w.value - w.before) as change
        from (
            select x.as_of, x.value,
                   lag(x.value, 1, 0::numeric) over (partition by x.instrument_id order by x.as_of) as before
            from worth x) w
        group by w.as_of
    )
    insert into backtest.equity (run_id, as_of, equity)
    select p_run_id, s.as_of, sum(s.change) over (order by s.as_of rows unbounded preceding) from steps s;
end
$$;
comment on function backtest._simulate(bigint, jsonb, backtest.cost_models, timestamptz, timestamptz) is
    'Writes the signals, orders, executions and equity of a run.';
