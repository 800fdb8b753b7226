-- The exact product of numerics, as an aggregate and over windows; exp(sum(ln())) would round.
create or replace aggregate market._product(numeric) (
    sfunc = pg_catalog.numeric_mul,
    stype = numeric,
    initcond = 1,
    parallel = safe
);
grant execute on function market._product(numeric) to tsdb_reader;
