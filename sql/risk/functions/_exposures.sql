-- The covariance of each position's return with the whole's P&L: the matrix times the positions. Refuses
-- a matrix that is not square, of the positions' length, symmetric and usable. Errors: TT001.
create or replace function risk._exposures(p_positions double precision[], p_covariance double precision[][])
returns double precision[]
language plpgsql
immutable
as $$
declare
    v_n constant integer := cardinality(p_positions);
    v_symmetric boolean;
    v_found double precision[];
begin
    perform risk._require_numbers(p_positions, 'p_positions');
    perform risk._require_numbers(p_covariance, 'p_covariance');
    if array_ndims(p_positions) <> 1 or array_ndims(p_covariance) <> 2 or array_length(p_covariance, 1) <> v_n
        or array_length(p_covariance, 2) <> v_n then
        raise exception 'p_covariance is not % by %', v_n, v_n using errcode = 'TT001';
    end if;
    select bool_and(e.symmetric), array_agg(e.exposure order by e.i) into v_symmetric, v_found
    from (
        select c.i,
            sum(c.value * p_positions[c.j + 1] order by c.j) as exposure,
            bool_and(abs(c.value - p_covariance[c.j + 1][c.i + 1])
                <= 1e-9 * (abs(c.value) + abs(p_covariance[c.j + 1][c.i + 1]))) as symmetric
        from (
            select value, ((n - 1) / v_n)::integer as i, ((n - 1) % v_n)::integer as j
            from unnest(p_covariance) with ordinality as u (value, n)) c
        group by c.i) e;
    if not v_symmetric then
        raise exception 'p_covariance is not symmetric' using errcode = 'TT001';
    end if;
    return v_found;
end
$$;
comment on function risk._exposures(double precision[], double precision[]) is
    'The covariance of each position''s return with the whole''s P&L.';
