-- The volatility after the last of the returns (oldest first), exponentially weighted (RiskMetrics 1996):
-- variance = p_lambda * variance + (1 - p_lambda) * return squared, from the volatility p_initial.
-- No returns give p_initial. Errors: TT001 values of no use; p_lambda not between 0 and 1, p_initial negative.
create or replace function risk.ewma_volatility(
    p_returns double precision[],
    p_lambda double precision,
    p_initial double precision
) returns double precision
language plpgsql
immutable
parallel safe
as $$
declare
    v_variance double precision;
    v_return double precision;
begin
    perform risk._require_share(p_lambda, 'p_lambda');
    if (p_initial >= 0 and p_initial < 'infinity') is not true then
        raise exception 'p_initial is no volatility: %', coalesce(p_initial::text, 'null') using errcode = 'TT001';
    end if;
    if p_returns is null or cardinality(p_returns) > 0 then
        perform risk._require_numbers(p_returns, 'p_returns');
    end if;
    -- The server refuses products too small for a double; these are 0 beside anything that matters.
    v_variance := case when p_initial < 1e-140 then 0 else p_initial * p_initial end;
    foreach v_return in array p_returns loop
        v_variance := case when v_variance < 1e-280 then 0 else p_lambda * v_variance end
            + case when abs(v_return) < 1e-140 then 0 else (1 - p_lambda) * v_return * v_return end;
    end loop;
    return sqrt(v_variance);
end
$$;
comment on function risk.ewma_volatility(double precision[], double precision, double precision) is
    'Volatility after the last return, exponentially weighted; returns oldest first, p_initial a volatility. Errors: TT001.';
grant execute on function risk.ewma_volatility(double precision[], double precision, double precision)
    to tsdb_reader;
