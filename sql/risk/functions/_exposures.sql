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
    v_symmetric boolean;
    v_bounded boolean;
    v_found double precision[];
begin
    perform risk._require_numbers(p_positions, 'p_positions');
    perform risk._require_numbers(p_covariance, 'p_covariance');
    if array_ndims(p_positions) <> 1 or array_ndims(p_covariance) <> 2 or array_length(p_covariance, 1) <> v_n
        or array_length(p_covariance, 2) <> v_n then
        raise exception 'p_covariance is not % by %', v_n, v_n using errcode = 'TT001';
    end if;
    select bool_and(e.symmetric), bool_and(e.bounded), array_agg(e.exposure order by e.i)
    into v_symmetric, v_bounded, v_found
    from (
        select c.i,
            sum(c.value * p_positions[c.j + 1] order by c.j) as exposure,
            bool_and(abs(c.value - p_covariance[c.j + 1][c.i + 1])
                <= 1e-9 * (abs(c.value) + abs(p_covariance[c.j + 1][c.i + 1]))) as symmetric,
            -- No correlation beyond 1, no negative variance: whether the matrix is a covariance in full shows
            -- in the positions' variance alone.
            bool_and(abs(c.value) <= (1 + 1e-9) * sqrt(greatest(0, p_covariance[c.i + 1][c.i + 1]))
                * sqrt(greatest(0, p_covariance[c.j + 1][c.j + 1]))) as bounded
        from (
            select value, ((n - 1) / v_n)::integer as i, ((n - 1) % v_n)::integer as j
            from unnest(p_covariance) with ordinality as u (value, n)) c
        group by c.i) e;
    if not v_symmetric then
        raise exception 'p_covariance is not symmetric' using errcode = 'TT001';
    end if;
    if not v_bounded then
        raise exception 'p_covariance is not positive semidefinite' using errcode = 'TT001';
    end if;
    return v_found;
end
$$;
comment on function risk._exposures(double precision[], double precision[]) is
    'The covariance of each position''s return with the whole''s P&L.';
