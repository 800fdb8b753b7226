-- Steps every due pair of a session on a batch, in one statement: the states are kept, the number of
-- pairs and what they decided returned.
create or replace function signal._step_pairs(
    p_batch market.batches,
    out stepped integer,
    out decisions signal.decision[]
)
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    -- Materialised: the step function must run once per pair.
    with stepped as materialized (
        select d.pair_id, d.strategy_id, d.instruments,
               signal.step_pairs(d.state, d.input, d.parameters) as state
        from signal._due_pairs(p_batch.session_id, p_batch.batch_id, p_batch.as_of) d
    ),
    saved as (
        insert into signal.pair_states (session_id, pair_id, batch_id, batch_no, state)
        select p_batch.session_id, t.pair_id, p_batch.batch_id, p_batch.batch_no, t.state from stepped t
        on conflict (session_id, pair_id) do update
        set batch_id = excluded.batch_id, batch_no = excluded.batch_no, state = excluded.state
    )
    select count(*),
           array_agg(row(t.strategy_id, t.pair_id, (t.state).event, (t.state).target, (t.state).spread,
                         (t.state).z_score, t.instruments, array[(t.state).quantity_a, (t.state).quantity_b],
                         true, null)::signal.decision
               order by t.pair_id) filter (where (t.state).event is not null)
    into stepped, decisions
    from stepped t;
end
$$;
comment on function signal._step_pairs(market.batches) is
    'Steps every due pair of a session on a batch; how many, and what they decided.';
