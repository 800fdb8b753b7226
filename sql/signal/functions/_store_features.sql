-- Asks a strategy's inputs function what became known with a batch, for the legs of its instances in
-- the session, and keeps the last row of each. With the first batch it asks for p_strategy.lookback more.
create or replace function signal._store_features(p_batch market.batches, p_strategy signal.strategies)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    v_since timestamptz := (
        select b.as_of from market.batches b
        where b.session_id = p_batch.session_id and b.batch_no = p_batch.batch_no - 1);
begin
    execute format($statement$
        insert into signal.batch_features (session_id, strategy_id, instrument_id, batch_no, as_of, features)
        select distinct on (f.instrument_id) $1, $2, f.instrument_id, $3, f.as_of, f.features
        from %s($4, $5, $6) f
        where f.as_of > $5 and f.as_of <= $6 and f.instrument_id = any ($4) and f.features is not null
        order by f.instrument_id, f.as_of desc, f.features desc
        $statement$, p_strategy.inputs)
    using p_batch.session_id, p_strategy.strategy_id, p_batch.batch_no,
        signal._legs_of(p_batch.session_id, p_strategy.strategy_id),
        coalesce(v_since, p_batch.from_ts - p_strategy.lookback), p_batch.as_of;
end
$$;
comment on function signal._store_features(market.batches, signal.strategies) is
    'Keeps what a strategy''s inputs function says became known with a batch.';
