-- Steps every pair of a run over its prices, within its validity, and returns the states that have an
-- event, or with p_all every state. moment: index of the step's time. digest: of the whole state, in binary
-- form, with p_all only.
create or replace function backtest._step_pairs(
    p_run jsonb, p_times timestamptz[], p_series backtest.price_series[], p_from timestamptz, p_all boolean
)
returns table (
    instance_id bigint, moment integer, as_of timestamptz, decision signal.pairs_state,
    instruments integer[], digest text
)
language plpgsql
stable
rows 20000
set search_path = pg_catalog, pg_temp
as $$
declare
    v_anywhere constant boolean := p_run->>'source' = 'session' or coalesce((p_run->>'in_sample')::boolean, false);
begin
    return query
    with pairs as materialized (
        select p.pair_id, p.instrument_a, p.instrument_b, b.first, b.last,
               signal.read_parameters(p.parameters, p_run->'changes') as parameters
        from jsonb_array_elements_text(p_run->'instances') e (pair_id)
        join signal.pairs p on p.pair_id = e.pair_id::bigint
        cross join lateral (
            -- width_bucket: how many times are not after a time.
            select (1 + greatest(
                       case when v_anywhere then 0
                            else width_bucket(p.valid_from - interval '1 microsecond', p_times) end,
                       case when p_from is null then 0 else width_bucket(p_from, p_times) end))::integer as first,
                   case when v_anywhere then cardinality(p_times)
                        else width_bucket(p.valid_to - interval '1 microsecond', p_times) end as last) b
    ),
    prices as materialized (
        select s.instrument_id, s.mids from unnest(p_series) s
    )
    select p.pair_id, (p.first - 1 + s.n)::integer, s.as_of, s.state, array[p.instrument_a, p.instrument_b],
           case when p_all then md5(record_send(s.state)) end
    from pairs p
    join prices a on a.instrument_id = p.instrument_a
    join prices b on b.instrument_id = p.instrument_b
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
