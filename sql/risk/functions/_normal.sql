-- A standard normal number that only its three arguments decide (Box and Muller 1958). p_path and p_factor
-- count from 1.
create or replace function risk._normal(p_seed bigint, p_path bigint, p_factor bigint)
returns double precision
language sql
immutable
parallel safe
as $$
    select pg_catalog.sqrt(-2 * pg_catalog.ln(risk._uniform(p_seed, p_path, 2 * p_factor)))
        * pg_catalog.cos(2 * pg_catalog.pi() * risk._uniform(p_seed, p_path, 2 * p_factor + 1))
$$;
comment on function risk._normal(bigint, bigint, bigint) is 'A standard normal number decided by its arguments.';
