-- The deflated Sharpe ratio: the probability that a true Sharpe ratio above zero is behind the best of several
-- trials, given how many there were and how long, skewed and fat-tailed its returns are. Bailey and Lopez de
-- Prado, "The deflated Sharpe ratio", Journal of Portfolio Management 40 (2014), equations 1 and 2.
--
-- p_sharpe       of one period, not annualised; p_observations: number of periods;
-- p_skewness, p_kurtosis   of the periods' returns; a normal distribution has 0 and 3;
-- p_trials       number of independent trials; p_variance: of their Sharpe ratios, of one period.
-- With one trial it is the probabilistic Sharpe ratio. Null where an argument is null or the ratio is not
-- defined. Errors: TT001 arguments that cannot be, NaN and infinity among them.
create or replace function backtest.deflated_sharpe(
    p_sharpe double precision,
    p_observations bigint,
    p_skewness double precision,
    p_kurtosis double precision,
    p_trials bigint,
    p_variance double precision
)
returns double precision
language plpgsql
immutable
strict
parallel safe
set search_path = pg_catalog, pg_temp
as $$
declare
    c_euler constant double precision := 0.5772156649015329;
    v_spread double precision;
    v_expected double precision := 0;
begin
    -- NaN sorts above infinity.
    if p_observations < 2 or p_trials < 1 or p_variance < 0
        or greatest(p_variance, abs(p_sharpe), abs(p_skewness), abs(p_kurtosis)) >= 'infinity'
    then
        raise exception 'a deflated Sharpe ratio needs two observations, a trial, finite figures, and a variance that is not below zero'
            using errcode = 'TT001';
    end if;
    v_spread := 1 - p_skewness * p_sharpe + (p_kurtosis - 1) / 4 * p_sharpe * p_sharpe;
    if not v_spread > 0 then
        return null;
    end if;
    if p_trials > 1 then
        -- What the best of so many trials without skill has on average.
        v_expected := sqrt(p_variance) * (
            (1 - c_euler) * risk._normal_quantile(1 - 1.0::float8 / p_trials)
            + c_euler * risk._normal_quantile(1 - exp(-1.0::float8) / p_trials));
    end if;
    return backtest._normal_cdf((p_sharpe - v_expected) * sqrt(p_observations - 1) / sqrt(v_spread));
end
$$;
comment on function backtest.deflated_sharpe(
    double precision, bigint, double precision, double precision, bigint, double precision) is
    'Probability that skill is behind the best Sharpe ratio of several trials (Bailey and Lopez de Prado 2014).';
grant execute on function backtest.deflated_sharpe(
    double precision, bigint, double precision, double precision, bigint, double precision) to tsdb_reader;
