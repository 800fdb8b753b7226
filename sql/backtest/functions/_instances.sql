-- What a run trades: every instance with its legs and validity; without one over a stored session, which
-- pinned its instances, and with in_sample.
create or replace function backtest._instances(p_run jsonb)
returns table (
    instance_id bigint, instruments integer[], strategy_id integer, valid_from timestamptz, valid_to timestamptz
)
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
    select p.pair_id, array[p.instrument_a, p.instrument_b], p.strategy_id,
           case when r.anywhere then '-infinity' else p.valid_from end,
           case when r.anywhere then 'infinity' else p.valid_to end
    from (select p_run->>'source' = 'session' or coalesce((p_run->>'in_sample')::boolean, false) as anywhere) r
    cross join jsonb_array_elements_text(p_run->'instances') e (pair_id)
    join signal.pairs p on p.pair_id = e.pair_id::bigint
$$;
comment on function backtest._instances(jsonb) is 'What a run trades.';
