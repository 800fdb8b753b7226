-- Keeps what a strategy's inputs function says became known with a batch; false if it raised, which is
-- recorded and stops the strategy.
create or replace function signal._know_features(p_batch market.batches, p_strategy signal.strategies)
returns boolean
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    if p_strategy.inputs is not null then
        perform signal._store_features(p_batch, p_strategy);
    end if;
    return true;
exception when others or assert_failure then
    if signal._is_transient(sqlstate) then
        raise;
    end if;
    perform signal._record_error(p_batch, p_strategy.strategy_id, null, sqlstate, sqlerrm);
    return false;
end
$$;
comment on function signal._know_features(market.batches, signal.strategies) is
    'Keeps what became known with a batch; false if the strategy''s inputs function raised.';
