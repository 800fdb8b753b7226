-- What every instance of a run of another strategy than pairs is stepped on, in order. Its features are asked
-- for once, for the whole window and the strategy's lookback before it; a step sees the last row of each leg
-- that was known at its time, and none before every leg has one.
create or replace function backtest._step_inputs(
    p_run jsonb, p_times timestamptz[], p_series backtest.price_series[], p_from timestamptz, p_to timestamptz
)
returns table (
    instance_id bigint, moment integer, instruments integer[], input signal.step_input, parameters jsonb
)
language plpgsql
stable
rows 100000
set search_path = pg_catalog, pg_temp
as $$
declare
    v_strategy signal.strategies;
    v_legs integer[];
    -- Without a window of its own a stored session has that of its batches.
    v_from constant timestamptz := coalesce(p_from, (
        select min(b.from_ts) from market.batches b where b.session_id = (p_run->>'session_id')::uuid));
    v_to constant timestamptz := coalesce(p_to, p_times[cardinality(p_times)]);
begin
    select * into v_strategy from signal.strategies s where s.strategy = p_run->>'strategy';
    if v_strategy.inputs is not null then
        v_legs := array(select s.instrument_id from unnest(p_series) s order by 1);
    end if;
    return query execute format($query$
        with spans as materialized (
            select n.*, signal._check_parameters($1, i.parameters || ($2->'changes')) as parameters
            from backtest._spans($2, $3, $5) n
            join signal.instances i on i.instance_id = n.instance_id
        ),
        prices as materialized (
            select s.instrument_id, s.mids from unnest($4) s
        ),
        -- The first time at which a row is known; of several, the last one.
        known as (
            select distinct on (f.instrument_id, f.since) f.instrument_id, f.since, f.features
            from (
                select r.instrument_id, r.features, r.as_of,
                       1 + width_bucket(r.as_of - interval '1 microsecond', $3) as since
                from %s r
                where r.features is not null and r.as_of <= $7) f
            order by f.instrument_id, f.since, f.as_of desc, f.features desc
        ),
        features as materialized (
            select k.instrument_id, g.moment, k.features
            from (
                select n.*, lead(n.since, 1, cardinality($3) + 1) over (
                           partition by n.instrument_id order by n.since) as until
                from known n) k
            cross join lateral generate_series(k.since, k.until - 1) g (moment)
        ),
        legs as (
            select s.instance_id, (s.first - 1 + u.n)::integer as moment, u.as_of, l.leg, l.instrument_id, u.mid
            from spans s
            cross join lateral unnest(s.instruments) with ordinality l (instrument_id, leg)
            -- A leg without any price is one without news.
            left join prices p on p.instrument_id = l.instrument_id
            cross join lateral unnest($3[s.first:s.last], p.mids[s.first:s.last]) with ordinality u (as_of, mid, n)
        ),
        inputs as (
            select l.instance_id, l.moment, l.as_of, array_agg(nullif(l.mid, 'NaN') order by l.leg) as mids,
                   case when count(f.features) = count(*) then backtest._join_arrays(f.features order by l.leg) end as features
            from legs l
            left join features f on f.instrument_id = l.instrument_id and f.moment = l.moment
            group by l.instance_id, l.moment, l.as_of
            having count(*) filter (where l.mid <> 'NaN') > 0
        )
        select n.instance_id, n.moment, s.instruments, row(n.as_of, n.mids, n.features)::signal.step_input, s.parameters
        from inputs n join spans s on s.instance_id = n.instance_id
        order by n.instance_id, n.moment
        $query$,
        case when v_strategy.inputs is null
            then '(select null::timestamptz as as_of, null::integer as instrument_id, null::float8[] as features)'
            else format('%s($6, $5 - ($1).lookback, $7)', v_strategy.inputs) end)
    using v_strategy, p_run, p_times, p_series, v_from, v_legs, v_to;
end
$$;
comment on function backtest._step_inputs(
    jsonb, timestamptz[], backtest.price_series[], timestamptz, timestamptz) is
    'What every instance of a run of another strategy than pairs is stepped on.';
