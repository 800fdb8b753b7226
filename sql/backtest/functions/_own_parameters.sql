-- The parameters of backtest.run itself; all others are the strategy's.
create or replace function backtest._own_parameters()
returns text[]
language sql
immutable
set search_path = pg_catalog, pg_temp
as $$
    select array['source', 'session_id', 'feed', 'grid', 'fill', 'pairs', 'instances', 'capital',
                 'in_sample', 'delisted_after', 'costs', 'seed', 'portfolio']
$$;
comment on function backtest._own_parameters() is 'The parameters of backtest.run itself.';
