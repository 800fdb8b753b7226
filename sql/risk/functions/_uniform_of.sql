-- A uniform number in (0, 1) of the hash of a seed and a path (risk._uniform), of which a path has many draws.
-- Neighbouring draws are alike after one more hash (correlated by a tenth, which moves a quantile of their
-- sum by percents), so what comes of it is mixed again.
create or replace function risk._uniform_of(p_hash bigint, p_draw bigint)
returns double precision
language sql
immutable
parallel safe
as $$
    select ((pg_catalog.hashint8extended(0, pg_catalog.hashint8extended(p_draw, p_hash)) >> 11
        & 9007199254740991) + 0.5::double precision) / 9007199254740992
$$;
comment on function risk._uniform_of(bigint, bigint) is 'A uniform number decided by its arguments.';
grant execute on function risk._uniform_of(bigint, bigint) to tsdb_reader;
