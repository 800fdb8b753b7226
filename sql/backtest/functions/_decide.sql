-- Every decision of a run: the strategy's signals, and what closes positions whatever it says: expire, where
-- an instance's validity ends (known beforehand), delisted, where a leg has had no price for
-- delisted_after, and with close_at_end end, at the last time. moment: how many of p_times had passed, for a fill at the next open how many bars had
-- opened. before: the quantities until then. With a portfolio what is traded is its net targets.
-- An instance whose step raised, returned what is no state, or signalled before each of its legs had a price has
-- no signals from then on, and one row with the problem; what it holds stays. Errors: TT001 the portfolio's step.
create or replace function backtest._decide(
    p_run jsonb, p_times timestamptz[], p_opened timestamptz[], p_series backtest.price_series[],
    p_from timestamptz, p_to timestamptz
)
returns setof backtest.run_decision
language plpgsql
stable
rows 20000
set search_path = pg_catalog, pg_temp
as $$
declare
    v_decisions backtest.run_decision[];
    v_failures backtest.run_decision[];
begin
    with instances as materialized (
        select * from backtest._instances(p_run)
    ),
    silences as materialized (
        select s.instrument_id, g.as_of + (p_run->>'delisted_after')::interval as as_of
        from unnest(p_series) s
        cross join lateral (
            select u.as_of, lead(u.as_of, 1, 'infinity') over (order by u.as_of) as next
            from unnest(p_times, s.mids) u (as_of, mid)
            where u.mid <> 'NaN') g
        where p_run->>'delisted_after' is not null and 'NaN'::float8 = any (s.mids)
            and g.next > g.as_of + (p_run->>'delisted_after')::interval
    ),
    states as materialized (
        select * from backtest._states(p_run, p_times, p_series, p_from, p_to, false)
    ),
    first_prices as materialized (
        select s.instrument_id,
               case when s.mids[1] <> 'NaN' then 1
                    else (select g.n from (select generate_series(2, cardinality(s.mids)) as n) g
                          where s.mids[g.n] <> 'NaN' limit 1) end as moment
        from unnest(p_series) s
    ),
    too_early as materialized (
        select s.instance_id, s.moment, min(u.instrument_id) as instrument_id
        from states s
        cross join lateral unnest(s.instruments) u (instrument_id)
        left join first_prices f on f.instrument_id = u.instrument_id
        where s.event is not null and (f.moment <= s.moment) is not true
        group by s.instance_id, s.moment
    ),
    judged as (
        select s.*, coalesce(s.problem, 'a signal before the first price of instrument ' || e.instrument_id) as reason,
               min(s.moment) filter (where s.problem is not null or e.moment is not null)
                   over (partition by s.instance_id) as stopped
        from states s
        left join too_early e on e.instance_id = s.instance_id and e.moment = s.moment
    ),
    decisions as (
        select d.instance_id, d.moment, d.as_of, 1 as rank, d.event, d.target, d.spread, d.z_score,
               d.instruments, d.quantities, null as sql_state, null as problem
        from judged d
        where d.stopped is null or d.moment < d.stopped
        union all
        select d.instance_id, d.moment, d.as_of, 1, null, null, null, null, d.instruments, null,
               coalesce(d.sql_state, 'TT001'), d.reason
        from judged d
        where d.moment = d.stopped
        union all
        select f.instance_id, case when p_run->>'fill' = 'next' and p_opened is not null
                   then width_bucket(f.as_of - interval '1 microsecond', p_opened)
                   else width_bucket(f.as_of, p_times) end,
               f.as_of, f.rank, f.event, 0::smallint, null, null, f.instruments,
               array_fill(0::bigint, array[cardinality(f.instruments)]), null, null
        from (
            select i.instance_id, i.valid_to as as_of, 2 as rank, 'expire' as event, i.instruments
            from instances i where i.valid_to <= p_to
            union all
            select i.instance_id, s.as_of, 3, 'delisted', i.instruments
            from instances i join silences s on s.instrument_id = any (i.instruments)
            where s.as_of <= p_to and s.as_of >= i.valid_from and s.as_of < i.valid_to
            union all
            select i.instance_id, p_times[cardinality(p_times)], 4, 'end', i.instruments
            from instances i where (p_run->>'close_at_end')::boolean) f
    ),
    ordered as (
        select d.*, coalesce(lag(d.quantities) over w, array_fill(0::bigint, array[cardinality(d.instruments)])) as before
        from decisions d
        window w as (partition by d.instance_id, d.problem is null order by d.as_of, d.rank)
    )
    select array_agg(u.decision) filter (where (u.decision).problem is null),
           array_agg(u.decision) filter (where (u.decision).problem is not null)
    into v_decisions, v_failures
    from (
        select row(o.instance_id, o.moment, o.as_of, o.event, o.target, o.spread, o.z_score, o.instruments,
                   o.quantities, o.before, o.problem is null, null, o.sql_state, o.problem)::backtest.run_decision as decision
        from ordered o
        where o.rank = 1 or o.before <> o.quantities) u;
    return query select * from unnest(v_failures);
    if p_run->'portfolio' = 'null' then
        return query select * from unnest(v_decisions);
    else
        begin
            return query select * from backtest._net_decisions(p_run, p_times, p_series, v_decisions);
        exception when others or assert_failure then
            if signal._is_transient(sqlstate) then
                raise;
            end if;
            raise exception 'the portfolio of % failed at %: %', p_run->>'strategy',
                backtest._portfolio_failed_at(p_run, p_times, p_series, v_decisions), sqlerrm using errcode = 'TT001';
        end;
    end if;
end
$$;
comment on function backtest._decide(
    jsonb, timestamptz[], timestamptz[], backtest.price_series[], timestamptz, timestamptz) is
    'Every decision of a run.';
