-- Christoffersen 1998, whether exceptions (p_hits, oldest first) come independently of the day before (row
-- independence, one degree of freedom), and also as often as promised (row conditional_coverage: its sum
-- with Kupiec's statistic, two degrees). Errors: TT001 fewer than two observations, a null, a probability of
-- no use.
create or replace function risk.christoffersen(p_hits boolean[], p_probability double precision)
returns table (test text, statistic double precision, p_value double precision)
language plpgsql
immutable
parallel safe
as $$
declare
    v_00 bigint;
    v_01 bigint;
    v_10 bigint;
    v_11 bigint;
    v_hits integer;
begin
    perform risk._require_share(p_probability, 'p_probability');
    if coalesce(cardinality(p_hits), 0) < 2 or coalesce(array_ndims(p_hits), 1) <> 1
        or array_position(p_hits, null) is not null then
        raise exception 'p_hits is a list of at least two observations without a null' using errcode = 'TT001';
    end if;
    select count(*) filter (where not s.before and not s.hit), count(*) filter (where not s.before and s.hit),
        count(*) filter (where s.before and not s.hit), count(*) filter (where s.before and s.hit)
    into v_00, v_01, v_10, v_11
    from (select hit, lag(hit) over (order by n) as before from unnest(p_hits) with ordinality as u (hit, n)) s;
    v_hits := (select count(*) from unnest(p_hits) hit where hit);
    test := 'independence';
    statistic := greatest(0, -2 * (
        risk._log_likelihood(v_00 + v_10, v_01 + v_11, (v_01 + v_11)::double precision / (v_00 + v_01 + v_10 + v_11))
        - risk._log_likelihood(v_00, v_01, v_01::double precision / nullif(v_00 + v_01, 0))
        - risk._log_likelihood(v_10, v_11, v_11::double precision / nullif(v_10 + v_11, 0))));
    p_value := risk._chi_square_tail(statistic, 1);
    return next;
    test := 'conditional_coverage';
    statistic := statistic + (
        select k.statistic from risk.kupiec_pof(cardinality(p_hits), v_hits, p_probability) k);
    p_value := risk._chi_square_tail(statistic, 2);
    return next;
end
$$;
comment on function risk.christoffersen(boolean[], double precision) is
    'Christoffersen''s tests of a VaR: independence and conditional_coverage; p_hits oldest first, p_probability that of an exception. Errors: TT001.';
grant execute on function risk.christoffersen(boolean[], double precision) to tsdb_reader;
