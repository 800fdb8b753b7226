-- The covariance of each position's return with the whole's P&L: the matrix times the positions. Refuses
-- a matrix that is not square, of the positions' length, symmetric, and with variances and correlations
-- that there can be. Errors: TT001.
create or replace function risk._exposures(p_positions double precision[], p_covariance double precision[][])
returns double precision[]
language plpgsql
immutable
as $$
declare
    v_n constant integer := cardinality(p_positions);
    v_row double precision[];
    v_symmetric boolean;
    v_bounded boolean;
    v_deviations double precision[];
    v_exposure double precision;
    v_bound double precision;
    v_found double precision[] := '{}';
    v_i integer := 0;
begin
    perform risk._require_numbers(p_positions, 'p_positions');
    perform risk._require_numbers(p_covariance, 'p_covariance');
    if array_ndims(p_positions) <> 1 or array_ndims(p_covariance) <> 2 or array_length(p_covariance, 1) <> v_n
        or array_length(p_covariance, 2) <> v_n then
        raise exception 'p_covariance is not % by %', v_n, v_n using errcode = 'TT001';
    end if;
    v_deviations := array(
        select sqrt(greatest(0, p_covariance[i][i])) from generate_series(1, v_n) i order by i);
    -- Row by row, so that nothing is sorted or grouped. The sums are in the order of the positions.
    foreach v_row slice 1 in array p_covariance loop
        v_i := v_i + 1;
        v_bound := (1 + 1e-9) * v_deviations[v_i];
        select sum(u.value * u.position),
            bool_and(u.n >= v_i or abs(u.value - p_covariance[u.n::integer][v_i])
                <= 1e-9 * (abs(u.value) + abs(p_covariance[u.n::integer][v_i]))),
            -- No correlation beyond 1, no negative variance: whether the matrix is a covariance in full
            -- shows in the positions' variance alone.
            bool_and(abs(u.value) <= v_bound * u.deviation)
        into v_exposure, v_symmetric, v_bounded
        from unnest(v_row, p_positions, v_deviations) with ordinality as u (value, position, deviation, n);
        if not v_symmetric then
            raise exception 'p_covariance is not symmetric' using errcode = 'TT001';
        elsif not v_bounded then
            raise exception 'p_covariance is not positive semidefinite' using errcode = 'TT001';
        end if;
        v_found[v_i] := v_exposure;
    end loop;
    return v_found;
end
$$;
comment on function risk._exposures(double precision[], double precision[]) is
    'The covariance of each position''s return with the whole''s P&L.';
grant execute on function risk._exposures(double precision[], double precision[]) to tsdb_reader;
