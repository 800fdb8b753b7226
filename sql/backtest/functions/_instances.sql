-- What a run trades: every pair or instance with its legs and validity; without one over a stored session,
-- which pinned its instances, and with in_sample.
create or replace function backtest._instances(p_run jsonb)
returns table (
    instance_id bigint, instruments integer[], valid_from timestamptz, valid_to timestamptz
)
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
    select t.pair_id, t.instruments,
           case when r.anywhere then '-infinity' else t.valid_from end,
           case when r.anywhere then 'infinity' else t.valid_to end
    from (select p_run->>'source' = 'session' or (p_run->>'in_sample')::boolean as anywhere) r
    cross join jsonb_array_elements_text(p_run->'instances') e (pair_id)
    join signal._tradables t on t.pair_id = e.pair_id::bigint
$$;
comment on function backtest._instances(jsonb) is 'What a run trades.';
