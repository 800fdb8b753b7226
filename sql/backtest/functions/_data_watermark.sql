-- Which data a run read: how many instruments, times and prices from when to when, and a digest of every price, open,
-- volume and factor of them, bit by bit and in order; of a session also its batches with the sum of their sealed
-- digests. Two runs that read the same have the same, and one changed, added or deleted bar makes another.
-- A hash per array (of PostgreSQL's own, 64 bits): that of each is the seed of the next.
create or replace function backtest._data_watermark(
    p_run jsonb, p_times timestamptz[], p_series backtest.price_series[], p_from timestamptz, p_to timestamptz
)
returns jsonb
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
    select jsonb_build_object(
        'source', p_run->'source', 'instruments', cardinality(p_series), 'times', cardinality(p_times),
        'prices', h.prices, 'from', p_times[1], 'to', p_times[cardinality(p_times)], 'digest', h.digest)
        || case when p_run->>'source' = 'session' then (
            select jsonb_build_object(
                'session_id', p_run->'session_id', 'batches', count(*), 'last_batch_no', max(b.batch_no),
                'batch_digest', mod(coalesce(sum(b.digest), 0), 9223372036854775807)::bigint)
            from market.batches b
            where b.session_id = (p_run->>'session_id')::uuid and (p_from is null or b.as_of > p_from)
                and (p_to is null or b.as_of <= p_to))
        else jsonb_build_object('feed', p_run->'feed') end
    from (
        select sum(cardinality(array_remove(s.mids, 'NaN'))) as prices,
               md5(string_agg(
                   hash_array_extended(s.mids, hash_array_extended(s.opens, hash_array_extended(
                       s.volumes, hash_array_extended(s.factors, case when p_run->>'source' in ('bars', 'daily') then 0
                           else hash_array_extended(s.bids, hash_array_extended(s.asks, 0)) end))))::text,
                   ' ' order by s.instrument_id) || hash_array_extended(p_times, 0) || array_agg(s.instrument_id)::text) as digest
        from unnest(p_series) s) h
$$;
comment on function backtest._data_watermark(
    jsonb, timestamptz[], backtest.price_series[], timestamptz, timestamptz) is 'Which data a backtest read.';
