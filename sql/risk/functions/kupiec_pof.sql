-- Kupiec 1995: whether the share of exceptions is what the VaR promises. p_probability: that of an exception.
-- The likelihood ratio is chi-square with one degree of freedom. Errors: TT001 counts or probability of no use.
create or replace function risk.kupiec_pof(
    p_observations integer,
    p_exceptions integer,
    p_probability double precision
) returns table (test text, statistic double precision, p_value double precision)
language plpgsql
immutable
parallel safe
as $$
begin
    perform risk._require_share(p_probability, 'p_probability');
    if (p_observations > 0 and p_exceptions between 0 and p_observations) is not true then
        raise exception '% exceptions of % observations', coalesce(p_exceptions::text, 'null'),
            coalesce(p_observations::text, 'null') using errcode = 'TT001';
    end if;
    test := 'kupiec_pof';
    statistic := greatest(0, -2 * (
        risk._log_likelihood(p_observations - p_exceptions, p_exceptions, p_probability)
        - risk._log_likelihood(p_observations - p_exceptions, p_exceptions,
            p_exceptions::double precision / p_observations)));
    p_value := risk._chi_square_tail(statistic, 1);
    return next;
end
$$;
comment on function risk.kupiec_pof(integer, integer, double precision) is
    'Kupiec''s proportion-of-failures test of a VaR; p_probability is that of an exception. Errors: TT001.';
grant execute on function risk.kupiec_pof(integer, integer, double precision) to tsdb_reader;
