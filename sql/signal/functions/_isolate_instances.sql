-- Finds the instances of a strategy whose step fails on a batch, records each, and returns how many.
create or replace function signal._isolate_instances(p_batch market.batches, p_strategy signal.strategies)
returns integer
language sql
set search_path = pg_catalog, pg_temp
as $$
    with failed as materialized (
        select d.instance_id, e.sql_state, e.message
        from signal._due_instances(
            p_batch.session_id, p_strategy.strategy_id, p_batch.batch_id, p_batch.batch_no, p_batch.as_of) d
        cross join lateral signal._try_step(p_strategy, d.state, d.input, d.parameters) e
        where e.sql_state is not null
    )
    select count(*)::integer
    from failed f
    cross join lateral (
        select signal._record_error(p_batch, p_strategy.strategy_id, f.instance_id, f.sql_state, f.message)) r
$$;
comment on function signal._isolate_instances(market.batches, signal.strategies) is
    'Records the instances of a strategy whose step fails on a batch; how many.';
