-- What becomes of a run's decisions in a portfolio: signal.run_portfolio folded over them, time by time, with the
-- marks of the time and the sectors and betas of the first. The instances' own decisions are kept, not traded,
-- with the reason where one was refused; what is traded is a rebalance per time at which a net target changed.
create or replace function backtest._net_decisions(
    p_run jsonb, p_times timestamptz[], p_series backtest.price_series[], p_decisions backtest.run_decision[]
)
returns setof backtest.run_decision
language plpgsql
stable
rows 20000
set search_path = pg_catalog, pg_temp
as $$
begin
    return query
    with decisions as materialized (
        -- What closes a position goes before what the strategy says at the same time.
        select distinct on (d.as_of, d.instance_id) d.*
        from unnest(p_decisions) d
        order by d.as_of, d.instance_id, d.event in ('expire', 'delisted', 'end') desc
    ),
    known as materialized (
        select s.instrument_id, s.marks, x.sector, x.beta
        from unnest(p_series) s
        join signal.read_exposures(array(select u.instrument_id from unnest(p_series) u), p_times[1]) x
            on x.instrument_id = s.instrument_id
    ),
    constants as materialized (
        select array_agg(k.instrument_id order by k.instrument_id) as instruments,
               array_agg(k.sector order by k.instrument_id) as sectors,
               array_agg(k.beta order by k.instrument_id) as betas
        from known k
    ),
    events as (
        select d.as_of, max(d.moment) as moment, array_agg(d.instance_id order by d.instance_id) as ids,
               array_agg(d.z_score order by d.instance_id) as scores
        from decisions d group by d.as_of
    ),
    legs as (
        select d.as_of, array_agg(d.instance_id order by d.instance_id, l.leg) as ids,
               array_agg(l.instrument_id order by d.instance_id, l.leg) as instruments,
               array_agg(l.quantity order by d.instance_id, l.leg) as quantities
        from decisions d
        cross join lateral unnest(d.instruments, d.quantities) with ordinality l (instrument_id, quantity, leg)
        group by d.as_of
    ),
    states as materialized (
        select e.as_of, e.moment,
               signal.run_portfolio(
                   row(e.as_of, e.ids, e.scores, array_fill(null::text, array[cardinality(e.ids)]),
                       l.ids, l.instruments, l.quantities, c.instruments,
                       array(select nullif(k.marks[e.moment], 'NaN') from known k order by k.instrument_id),
                       c.sectors, c.betas)::signal.portfolio_input,
                   jsonb_populate_record(null::signal.portfolio_parameters, p_run->'portfolio'))
                   over (order by e.as_of rows unbounded preceding) as state
        from events e join legs l on l.as_of = e.as_of cross join constants c
    ),
    turns as (
        select s.as_of, s.moment, s.state, lag(s.state) over (order by s.as_of) as last from states s
    )
    select d.instance_id, d.moment, d.as_of, d.event, d.target, d.spread, d.z_score, d.instruments, d.quantities,
           d.before, false, r.reason, null::text, null::text
    from decisions d
    join states s on s.as_of = d.as_of
    left join lateral unnest((s.state).refused, (s.state).reasons) r (instance_id, reason)
        on r.instance_id = d.instance_id
    union all
    select null, t.moment, t.as_of, 'rebalance', null, null, null, (t.state).changed, (t.state).changed_quantities,
           b.quantities, true, null, null, null
    from turns t
    cross join lateral (
        select array_agg(coalesce(h.quantity, 0) order by u.n) as quantities
        from unnest((t.state).changed) with ordinality u (instrument_id, n)
        left join unnest((t.last).instruments, (t.last).quantities) h (instrument_id, quantity)
            on h.instrument_id = u.instrument_id) b
    where cardinality((t.state).changed) > 0;
end
$$;
comment on function backtest._net_decisions(
    jsonb, timestamptz[], backtest.price_series[], backtest.run_decision[]) is
    'What becomes of a run''s decisions in a portfolio.';
