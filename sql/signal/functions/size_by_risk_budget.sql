-- Notionals of positions whose contributions to the volatility of them all are as p_budgets (equal
-- without), and whose volatility is p_target: w(i) * (Cw)(i) / w'Cw = budget(i) / sum of budgets. C is the
-- covariance of the positions' returns per unit of notional. Solved as the minimum of
-- y'Cy / 2 - sum of budget(i) * ln y(i), which is unique, by cyclical coordinate descent
-- (Griveau-Billion, Richard and Roncalli 2013), then scaled.
-- Errors: TT001 a matrix that is not square, symmetric, finite and positive on its diagonal, that has a negative
-- variance, or for which there is no solution (a position that another one hedges away); budgets or a target
-- that are not above zero.
create or replace function signal.size_by_risk_budget(
    p_covariance double precision[],
    p_target double precision,
    p_budgets double precision[] default null
)
returns double precision[]
language plpgsql
immutable
parallel safe
as $$
declare
    n constant integer := array_length(p_covariance, 1);
    v_budgets double precision[] := p_budgets;
    v_total double precision;
    y double precision[];
    v_rest double precision;
    v_next double precision;
    v_moved double precision;
    v_variance double precision := 0;
begin
    if n is null or array_ndims(p_covariance) <> 2 or array_length(p_covariance, 2) <> n then
        raise exception 'a covariance is a square matrix' using errcode = 'TT001';
    end if;
    v_budgets := coalesce(v_budgets, array_fill(1.0::float8, array[n]));
    if cardinality(v_budgets) <> n or exists (
        select from unnest(v_budgets) u (b) where (u.b > 0 and u.b < 'infinity') is not true)
    then
        raise exception 'budgets are above zero, one for each of % positions', n using errcode = 'TT001';
    elsif (p_target > 0 and p_target < 'infinity') is not true then
        raise exception 'the target volatility must be above zero' using errcode = 'TT001';
    end if;
    for i in 1 .. n loop
        for j in 1 .. i loop
            if (abs(p_covariance[i][j]) < 'infinity'
                and abs(p_covariance[i][j] - p_covariance[j][i])
                    <= 1e-9 * sqrt(p_covariance[i][i] * p_covariance[j][j])) is not true
                or (p_covariance[i][i] > 0) is not true
            then
                raise exception 'the covariance is not finite, symmetric and positive on its diagonal'
                    using errcode = 'TT001';
            end if;
        end loop;
        y[i] := 1 / sqrt(p_covariance[i][i]);
    end loop;
    if signal._has_negative_variance(p_covariance) then
        raise exception 'this is no covariance: some combination of the positions has a negative variance'
            using errcode = 'TT001';
    end if;
    v_total := (select sum(u.b) from unnest(v_budgets) u (b));
    for v_round in 1 .. 10000 loop
        v_moved := 0;
        for i in 1 .. n loop
            v_rest := 0;
            for j in 1 .. n loop
                if j <> i then
                    v_rest := v_rest + p_covariance[i][j] * y[j];
                end if;
            end loop;
            v_next := (sqrt(v_rest * v_rest + 4 * p_covariance[i][i] * v_budgets[i] / v_total) - v_rest)
                / (2 * p_covariance[i][i]);
            v_moved := greatest(v_moved, abs(v_next / y[i] - 1));
            y[i] := v_next;
        end loop;
        exit when v_moved < 1e-12;
    end loop;
    for i in 1 .. n loop
        for j in 1 .. n loop
            v_variance := v_variance + y[i] * p_covariance[i][j] * y[j];
        end loop;
    end loop;
    -- At the solution the variance is the sum of the budgets, here one.
    if (v_moved < 1e-12 and abs(v_variance - 1) < 1e-6) is not true then
        raise exception 'no risk budget: the covariance is singular, some positions hedge each other away' using errcode = 'TT001';
    end if;
    for i in 1 .. n loop
        y[i] := y[i] * p_target / sqrt(v_variance);
    end loop;
    return y;
end
$$;
comment on function signal.size_by_risk_budget(double precision[], double precision, double precision[]) is
    'Notionals of positions with given (or equal) contributions to their common volatility, which is the target.';
grant execute on function signal.size_by_risk_budget(
    double precision[], double precision, double precision[]) to tsdb_reader;
