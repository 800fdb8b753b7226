-- The notional at which a position's daily volatility is p_target (account currency): p_target / sample
-- deviation of p_returns, its daily returns per unit of notional (signal.daily_returns).
-- Errors: TT001 fewer than two returns, one that is not finite, returns that do not vary, a target that
-- is not above zero.
create or replace function signal.size_by_volatility(p_returns double precision[], p_target double precision)
returns double precision
language plpgsql
immutable
parallel safe
as $$
declare
    v_deviation double precision;
begin
    if (p_target > 0 and p_target < 'infinity') is not true then
        raise exception 'the target volatility must be above zero' using errcode = 'TT001';
    elsif exists (select from unnest(p_returns) u (r) where (u.r > '-infinity' and u.r < 'infinity') is not true) then
        raise exception 'a return is missing or not finite' using errcode = 'TT001';
    end if;
    select stddev_samp(u.r) into v_deviation from unnest(p_returns) u (r);
    -- Below this only rounding varies.
    if (v_deviation > 1e-12) is not true then
        raise exception 'the returns do not vary: no volatility to size by' using errcode = 'TT001';
    end if;
    return p_target / v_deviation;
end
$$;
comment on function signal.size_by_volatility(double precision[], double precision) is
    'The notional at which a position''s daily volatility is the target.';
grant execute on function signal.size_by_volatility(double precision[], double precision) to tsdb_reader;
