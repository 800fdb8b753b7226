-- Log-likelihood of independent hits: p_hits of them and p_misses misses at a probability; 0 log 0 is 0.
create or replace function risk._log_likelihood(p_misses bigint, p_hits bigint, p_probability double precision)
returns double precision
language sql
immutable
parallel safe
as $$
    select case when p_misses = 0 then 0 else p_misses * pg_catalog.ln(1 - p_probability) end
        + case when p_hits = 0 then 0 else p_hits * pg_catalog.ln(p_probability) end
$$;
comment on function risk._log_likelihood(bigint, bigint, double precision) is 'Log-likelihood of independent hits.';
grant execute on function risk._log_likelihood(bigint, bigint, double precision) to tsdb_reader;
