-- The lower triangle L with L times its transpose the covariance, row by row; a factor without variance of
-- its own has a row of zeros from the diagonal. Errors: TT001 no covariance.
create or replace function risk._cholesky(p_covariance double precision[][])
returns double precision[]
language plpgsql
immutable
as $$
declare
    v_n constant integer := array_length(p_covariance, 1);
    v_l double precision[] := array_fill(0::double precision, array[v_n, v_n]);
    v_sum double precision;
begin
    for i in 1 .. v_n loop
        for j in 1 .. i loop
            v_sum := p_covariance[i][j];
            for k in 1 .. j - 1 loop
                v_sum := v_sum - v_l[i][k] * v_l[j][k];
            end loop;
            if i = j then
                if v_sum < -1e-9 * abs(p_covariance[i][i]) then
                    raise exception 'p_covariance is not positive semidefinite' using errcode = 'TT001';
                end if;
                -- What rounding leaves of a factor that the others determine is nothing.
                v_l[i][i] := case when v_sum <= 1e-12 * p_covariance[i][i] then 0 else sqrt(v_sum) end;
            else
                if v_l[j][j] = 0 and abs(v_sum) > 1e-9 * sqrt(p_covariance[i][i] * p_covariance[j][j]) then
                    raise exception 'p_covariance is not positive semidefinite' using errcode = 'TT001';
                end if;
                v_l[i][j] := case when v_l[j][j] = 0 then 0 else v_sum / v_l[j][j] end;
            end if;
        end loop;
    end loop;
    return v_l;
end
$$;
comment on function risk._cholesky(double precision[]) is 'The Cholesky factor of a covariance.';
grant execute on function risk._cholesky(double precision[]) to tsdb_reader;
