-- Value at risk of positions (account currency) whose returns are jointly normal with mean zero and this
-- covariance: the normal's quantile times the standard deviation of the whole's P&L. Errors: TT001 values of
-- no use; a matrix that is not square, symmetric and positive semidefinite for these positions.
create or replace function risk.var_parametric(
    p_positions double precision[],
    p_covariance double precision[][],
    p_confidence double precision
) returns double precision
language plpgsql
immutable
parallel safe
as $$
begin
    perform risk._require_share(p_confidence, 'p_confidence');
    return risk._normal_quantile(p_confidence)
        * sqrt(risk._variance(p_positions, risk._exposures(p_positions, p_covariance)));
end
$$;
comment on function risk.var_parametric(double precision[], double precision[], double precision) is
    'Value at risk of positions in account currency under normal returns of mean zero. Errors: TT001.';
grant execute on function risk.var_parametric(double precision[], double precision[], double precision)
    to tsdb_reader;
