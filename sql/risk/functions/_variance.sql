-- The variance of the whole's P&L from its exposures (risk._exposures): 0 where rounding leaves a hair
-- below, an error where the matrix is no covariance. Errors: TT001.
create or replace function risk._variance(p_positions double precision[], p_exposures double precision[])
returns double precision
language plpgsql
immutable
as $$
declare
    v_variance double precision;
    v_scale double precision;
begin
    select sum(w * e), sum(abs(w * e)) into v_variance, v_scale
    from unnest(p_positions, p_exposures) as u (w, e);
    if v_variance < -1e-9 * v_scale then
        raise exception 'p_covariance is not positive semidefinite' using errcode = 'TT001';
    end if;
    return greatest(v_variance, 0);
end
$$;
comment on function risk._variance(double precision[], double precision[]) is 'The variance of the whole''s P&L.';
grant execute on function risk._variance(double precision[], double precision[]) to tsdb_reader;
