-- The standard normal's distribution function, to about 15 digits: Hart 1968, as given by West,
-- "Better approximations to cumulative normal functions", Wilmott (May 2005). PostgreSQL 15 has no erf.
create or replace function backtest._normal_cdf(p_x double precision)
returns double precision
language sql
immutable
strict
parallel safe
as $$
    select case when p_x > 0 then 1 - t.tail else t.tail end
    from (select abs(p_x) as x) a
    cross join lateral (
        select case when a.x > 37 then 0 else exp(-a.x * a.x / 2) end * case when a.x < 7.07106781186547 then
            ((((((3.52624965998911e-02 * a.x + 0.700383064443688) * a.x + 6.37396220353165) * a.x
                + 33.912866078383) * a.x + 112.079291497871) * a.x + 221.213596169931) * a.x + 220.206867912376)
            / (((((((8.83883476483184e-02 * a.x + 1.75566716318264) * a.x + 16.064177579207) * a.x
                + 86.7807322029461) * a.x + 296.564248779674) * a.x + 637.333633378831) * a.x
                + 793.826512519948) * a.x + 440.413735824752)
            else 1 / (a.x + 1 / (a.x + 2 / (a.x + 3 / (a.x + 4 / (a.x + 0.65))))) / 2.506628274631 end as tail) t
$$;
comment on function backtest._normal_cdf(double precision) is 'The standard normal''s distribution function.';
grant execute on function backtest._normal_cdf(double precision) to tsdb_reader;
