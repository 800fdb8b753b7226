-- Whether some combination of positions would have a negative variance, which no returns have: a symmetric
-- matrix with a positive diagonal is no covariance then. A Cholesky decomposition of the correlations with 1e-9 on
-- the diagonal: that is what rounding may take from a matrix that is singular, such as that of more positions
-- than returns.
create or replace function signal._has_negative_variance(p_covariance double precision[])
returns boolean
language plpgsql
immutable
parallel safe
as $$
declare
    n constant integer := array_length(p_covariance, 1);
    l double precision[] := array_fill(0::double precision, array[n, n]);
    v_rest double precision;
begin
    for i in 1 .. n loop
        for j in 1 .. i loop
            v_rest := p_covariance[i][j] / sqrt(p_covariance[i][i] * p_covariance[j][j]);
            if i = j then
                v_rest := v_rest + 1e-9;
            end if;
            for k in 1 .. j - 1 loop
                v_rest := v_rest - l[i][k] * l[j][k];
            end loop;
            if i <> j then
                l[i][j] := v_rest / l[j][j];
            elsif v_rest <= 0 then
                return true;
            else
                l[i][i] := sqrt(v_rest);
            end if;
        end loop;
    end loop;
    return false;
end
$$;
comment on function signal._has_negative_variance(double precision[]) is
    'Whether a symmetric matrix is no covariance, because some combination has a negative variance.';
grant execute on function signal._has_negative_variance(double precision[]) to tsdb_reader;
