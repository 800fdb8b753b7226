-- The fit behind an s-score over two series of returns of the same length: beta, reversion (samples),
-- mean, deviation, score. Null where there is no fit; definitions in signal.step_s_score.
create or replace function signal.fit_s_score(p_returns_a double precision[], p_returns_b double precision[])
returns double precision[]
language plpgsql
immutable
parallel safe
as $$
declare
    n constant integer := cardinality(p_returns_a);
    v_mean_a double precision := 0;
    v_mean_b double precision := 0;
    v_aa double precision := 0;
    v_ab double precision := 0;
    v_bb double precision := 0;
    v_beta double precision;
    v_residual double precision;
    v_rest double precision := 0;
    x double precision[] := '{}';
    v_sum double precision := 0;
    v_mean_0 double precision := 0;    -- of x[1 .. n-1] and x[2 .. n]
    v_mean_1 double precision := 0;
    v_00 double precision := 0;
    v_01 double precision := 0;
    v_11 double precision := 0;
    b double precision;
    v_mean double precision;
    v_deviation double precision;
begin
    if n < 4 or n is distinct from cardinality(p_returns_b) then
        return null;
    end if;
    for i in 1 .. n loop
        v_mean_a := v_mean_a + p_returns_a[i] / n;
        v_mean_b := v_mean_b + p_returns_b[i] / n;
    end loop;
    for i in 1 .. n loop
        v_aa := v_aa + (p_returns_a[i] - v_mean_a) * (p_returns_a[i] - v_mean_a);
        v_ab := v_ab + (p_returns_a[i] - v_mean_a) * (p_returns_b[i] - v_mean_b);
        v_bb := v_bb + (p_returns_b[i] - v_mean_b) * (p_returns_b[i] - v_mean_b);
    end loop;
    -- A constant series has returns of zero but for rounding.
    if (v_bb > 1e-24 * n and v_aa > 1e-24 * n) is not true then
        return null;
    end if;
    v_beta := v_ab / v_bb;
    for i in 1 .. n loop
        v_residual := p_returns_a[i] - v_mean_a - v_beta * (p_returns_b[i] - v_mean_b);
        v_rest := v_rest + v_residual * v_residual;
        v_sum := v_sum + v_residual;
        x[i] := v_sum;
        if i < n then
            v_mean_0 := v_mean_0 + v_sum / (n - 1);
        end if;
        if i > 1 then
            v_mean_1 := v_mean_1 + v_sum / (n - 1);
        end if;
    end loop;
    if (v_rest > 1e-12 * v_aa) is not true then
        return null;
    end if;
    for i in 2 .. n loop
        v_00 := v_00 + (x[i - 1] - v_mean_0) * (x[i - 1] - v_mean_0);
        v_01 := v_01 + (x[i - 1] - v_mean_0) * (x[i] - v_mean_1);
        v_11 := v_11 + (x[i] - v_mean_1) * (x[i] - v_mean_1);
    end loop;
    b := v_01 / nullif(v_00, 0);
    if (b > 0 and b < 1 and v_11 > b * v_01) is not true then
        return null;
    end if;
    v_mean := (v_mean_1 - b * v_mean_0) / (1 - b);
    v_deviation := sqrt((v_11 - b * v_01) / (n - 1) / (1 - b * b));
    return array[v_beta, -1 / ln(b), v_mean, v_deviation, (x[n] - v_mean) / v_deviation];
end
$$;
comment on function signal.fit_s_score(double precision[], double precision[]) is
    'Beta, reversion, mean, deviation and s-score of two series of returns (Avellaneda and Lee 2010).';
grant execute on function signal.fit_s_score(double precision[], double precision[]) to tsdb_reader;
