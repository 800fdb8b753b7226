-- Every state of a run and every row of its strategy's features, each with a digest of all its bits.
create or replace function backtest._mark_states(p_run jsonb, p_from timestamptz, p_to timestamptz)
returns backtest.state_mark[]
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
    v_legs constant integer[] := array(
        select distinct u.id from backtest._instances(p_run) i cross join lateral unnest(i.instruments) u (id) order by 1);
    v_strategy signal.strategies;
    v_times timestamptz[];
    v_series backtest.price_series[];
    v_features backtest.state_mark[] := '{}';
begin
    select * into v_strategy from signal.strategies s where s.strategy = p_run->>'strategy';
    if v_strategy.inputs is not null then
        -- Rows of one time in any order are the same rows.
        execute format($query$
            select array(
                select row('feature', f.instrument_id, f.as_of, md5(string_agg(
                    encode(float8send(u.feature), 'hex'), ' ' order by f.features, u.place))::uuid)::backtest.state_mark
                from %s($1, $2, $3) f
                left join lateral unnest(f.features) with ordinality u (feature, place) on true
                where f.features is not null
                group by f.instrument_id, f.as_of)
            $query$, v_strategy.inputs)
        into v_features using v_legs, p_from - v_strategy.lookback, p_to;
    end if;
    select s.times, s.series into v_times, v_series from backtest._read_series(p_run, v_legs, p_from, p_to) s;
    return v_features || array(
        select row('state', s.instance_id, s.as_of, s.digest::uuid)::backtest.state_mark
        from backtest._states(p_run, v_times, v_series, p_from, p_to, true) s);
end
$$;
comment on function backtest._mark_states(jsonb, timestamptz, timestamptz) is
    'Every state and feature of a run with a digest.';
