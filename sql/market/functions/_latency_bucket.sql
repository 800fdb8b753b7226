-- The bucket of a latency in a DDSketch (Masson, Rim, Lee 2019, VLDB 12: DDSketch), whose
-- buckets grow by gamma = 1.01 / 0.99, so that quantiles of merged sketches are within 1%. Latencies
-- of a microsecond are in bucket 0; negative ones, where clocks disagree, in bucket -1. Inlined.
create or replace function market._latency_bucket(p_latency interval)
returns integer
language sql
immutable
parallel safe
as $$
    select case when p_latency <= interval '0' then -1
           else ceil(ln(extract(epoch from p_latency)::double precision * 1000000 + 1e-9)
                     / ln(1.01::double precision / 0.99) - 1e-6)::integer end
$$;
