-- A uniform number in (0, 1) that only its three arguments decide: the server's hash functions, which also
-- place rows in partitions, do not change. p_path and p_draw count from 0.
create or replace function risk._uniform(p_seed bigint, p_path bigint, p_draw bigint)
returns double precision
language sql
immutable
parallel safe
as $$
    select risk._uniform_of(pg_catalog.hashint8extended(p_path, p_seed), p_draw)
$$;
comment on function risk._uniform(bigint, bigint, bigint) is 'A uniform number decided by its arguments.';
grant execute on function risk._uniform(bigint, bigint, bigint) to tsdb_reader;
