-- The pairs strategy over arrays of inputs, in order, one state per input: what it would have done.
-- Null mids are legs without news.
create or replace function signal.trace_pair(
    p_as_of timestamptz[],
    p_mid_a double precision[],
    p_mid_b double precision[],
    p_parameters signal.pairs_parameters
)
returns setof signal.pairs_state
language sql
immutable
parallel safe
as $$
    select s.as_of, s.as_of_a, s.as_of_b, s.mid_a, s.mid_b, s.mean, s.spread, s.z_score, s.warm_since,
           s.target, s.quantity_a, s.quantity_b, s.stopped, s.event, s.entered_at, s.closed_at
    from (
        select u.n, signal.run_pairs(row(u.as_of, u.a, u.b)::signal.pairs_input, p_parameters)
            over (order by u.n rows unbounded preceding) as state
        from unnest(p_as_of, p_mid_a, p_mid_b) with ordinality u (as_of, a, b, n)) stepped
    cross join lateral (select (stepped.state).*) s
    order by stepped.n
$$;
comment on function signal.trace_pair(
    timestamptz[], double precision[], double precision[], signal.pairs_parameters) is
    'Every state of the pairs strategy over arrays of times and mids.';
grant execute on function signal.trace_pair(
    timestamptz[], double precision[], double precision[], signal.pairs_parameters) to tsdb_reader;
