-- A uniform number in (0, 1) that only its three arguments decide: the server's hash functions, which also
-- place rows in partitions, do not change. p_path and p_draw count from 0. Neighbouring draws are alike
-- after one hash (correlated by a tenth, which moves a quantile of their sum by percents), so what
-- comes of it is mixed once more.
create or replace function risk._uniform(p_seed bigint, p_path bigint, p_draw bigint)
returns double precision
language sql
immutable
parallel safe
as $$
    select ((pg_catalog.hashint8extended(0,
        pg_catalog.hashint8extended(p_draw, pg_catalog.hashint8extended(p_path, p_seed))) >> 11
        & 9007199254740991) + 0.5::double precision) / 9007199254740992
$$;
comment on function risk._uniform(bigint, bigint, bigint) is 'A uniform number decided by its arguments.';
