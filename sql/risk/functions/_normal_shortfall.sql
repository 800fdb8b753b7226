-- Expected shortfall of a normal P&L of mean zero in standard deviations: the density at the quantile over the
-- probability beyond it.
create or replace function risk._normal_shortfall(p_confidence double precision)
returns double precision
language sql
immutable
parallel safe
as $$
    select pg_catalog.exp(-pg_catalog.power(risk._normal_quantile(p_confidence), 2) / 2)
        / pg_catalog.sqrt(2 * pg_catalog.pi()) / (1 - p_confidence)
$$;
comment on function risk._normal_shortfall(double precision) is
    'Expected shortfall of a standard normal P&L.';
