-- Folds the step of every pair of a run in one query; see backtest._step_pairs.
-- plpgsql, because what a function in language sql is given is planned without its sizes.
create or replace function backtest._fold_run(
    p_run jsonb, p_times timestamptz[], p_series backtest.price_series[], p_from timestamptz, p_all boolean
)
returns setof backtest.run_state
language plpgsql
stable
rows 20000
set search_path = pg_catalog, pg_temp
as $$
begin
    return query
    with pairs as materialized (
        select n.instance_id, n.instruments, n.first, n.last,
               signal.read_parameters(p.parameters, p_run->'changes') as parameters
        from backtest._spans(p_run, p_times, p_from) n
        join signal.pairs p on p.pair_id = n.instance_id
    ),
    prices as materialized (
        select s.instrument_id, s.mids from unnest(p_series) s
    )
    select p.instance_id, p.first - 1 + f.moment, (f.state).as_of, (f.state).event, (f.state).target,
           (f.state).spread, (f.state).z_score, p.instruments,
           array[(f.state).quantity_a, (f.state).quantity_b],
           case when p_all then md5(record_send(f.state)) end, null::text, null::text
    from pairs p
    join prices a on a.instrument_id = p.instruments[1]
    join prices b on b.instrument_id = p.instruments[2]
    cross join lateral signal._fold_pairs(
        p_times[p.first:p.last], a.mids[p.first:p.last], b.mids[p.first:p.last], p.parameters, p_all) f;
end
$$;
comment on function backtest._fold_run(jsonb, timestamptz[], backtest.price_series[], timestamptz, boolean) is
    'States of a run''s pairs, in one query.';
