-- Steps every pair of a run over its prices, within its validity, and returns the states that have an
-- event, or with p_all every state. moment: index of the step's time. digest: of the whole state, in binary
-- form, with p_all only.
create or replace function backtest._step_pairs(
    p_run jsonb, p_times timestamptz[], p_series backtest.price_series[], p_from timestamptz, p_all boolean
)
returns table (
    instance_id bigint, moment integer, as_of timestamptz, event text, target smallint,
    spread double precision, z_score double precision, instruments integer[], quantities bigint[], digest text
)
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
    select p.instance_id, (p.first - 1 + s.n)::integer, s.as_of, (s.state).event, (s.state).target,
           (s.state).spread, (s.state).z_score, p.instruments,
           array[(s.state).quantity_a, (s.state).quantity_b],
           case when p_all then md5(record_send(s.state)) end
    from pairs p
    join prices a on a.instrument_id = p.instruments[1]
    join prices b on b.instrument_id = p.instruments[2]
    cross join lateral (
        select u.n, u.as_of,
               signal.run_pairs(
                   row(u.as_of, nullif(u.mid_a, 'NaN'), nullif(u.mid_b, 'NaN'))::signal.pairs_input, p.parameters)
                   over (order by u.n rows unbounded preceding) as state
        from unnest(p_times[p.first:p.last], a.mids[p.first:p.last], b.mids[p.first:p.last])
            with ordinality u (as_of, mid_a, mid_b, n)
        where u.mid_a <> 'NaN' or u.mid_b <> 'NaN') s
    where p_all or (s.state).event is not null;
end
$$;
comment on function backtest._step_pairs(jsonb, timestamptz[], backtest.price_series[], timestamptz, boolean) is
    'States of a run''s pairs.';
