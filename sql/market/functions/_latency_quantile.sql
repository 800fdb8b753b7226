-- A quantile, in seconds, of the latencies in some sketches (market._latency_bucket), within 1%;
-- 0 for one that is negative, null without any.
create or replace function market._latency_quantile(
    p_sketches jsonb[], p_quantile double precision
)
returns double precision
language sql
immutable
parallel safe
as $$
    with buckets as (
        select e.key::integer as bucket, sum(e.value::numeric) as count
        from unnest(p_sketches) s (sketch)
        cross join lateral pg_catalog.jsonb_each_text(s.sketch) e
        group by 1
    ),
    ranked as (
        select b.bucket, sum(b.count) over (order by b.bucket) as up_to,
               sum(b.count) over () as total
        from buckets b
    )
    select case when r.bucket < 0 then 0
           else 2 * power(1.01::double precision / 0.99, r.bucket) / (1.01 / 0.99 + 1) / 1000000 end
    from ranked r
    where r.up_to > p_quantile * (r.total - 1)
    order by r.bucket
    limit 1
$$;
grant execute on function market._latency_quantile(jsonb[], double precision) to tsdb_reader;
