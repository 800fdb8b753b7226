-- The market impact of an order as a share of the price:
--   coefficient * volatility * (quantity / volume) ^ exponent
-- with volatility (of log returns) and volume of the same span, a day. exponent 0.5 is the square-root
-- law: Torre, BARRA Market Impact Model Handbook (1997); Toth et al., Phys. Rev. X 1, 021006 (2011), who
-- find a coefficient of order one. Almgren, Thum, Hauptmann and Li, Risk (July 2005), fit 0.6.
-- Null where volatility or volume is not known.
create or replace function backtest.impact(
    p_quantity double precision,
    p_volume double precision,
    p_volatility double precision,
    p_coefficient double precision default 1,
    p_exponent double precision default 0.5
)
returns double precision
language sql
immutable
parallel safe
as $$
    select case when p_coefficient = 0 then 0
                else p_coefficient * p_volatility * power(abs(p_quantity) / nullif(p_volume, 0), p_exponent) end
$$;
comment on function backtest.impact(
    double precision, double precision, double precision, double precision, double precision) is
    'Market impact of an order as a share of the price, by the square-root law.';
grant execute on function backtest.impact(
    double precision, double precision, double precision, double precision, double precision) to tsdb_reader;
