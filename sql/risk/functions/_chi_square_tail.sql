-- The probability that a chi-square variable of one or two degrees of freedom exceeds a value.
-- One degree: erfc(sqrt(x / 2)), by its series near 0 and its continued fraction beyond (Abramowitz and Stegun
-- 7.1.6 and 7.1.14). PostgreSQL has erfc only from 16.
create or replace function risk._chi_square_tail(p_value double precision, p_degrees integer)
returns double precision
language plpgsql
immutable
strict
parallel safe
as $$
declare
    v_z constant double precision := sqrt(greatest(p_value, 1e-200) / 2);
    v_term double precision := v_z;
    v_sum double precision := v_z;
    v_fraction double precision := 0;
begin
    -- Beyond, the server refuses to compute what is 0 to every digit.
    if p_value > 1400 then
        return 0;
    elsif p_degrees = 2 then
        return exp(-greatest(p_value, 0) / 2);
    end if;
    if v_z < 1.5 then
        for n in 1 .. 60 loop
            v_term := v_term * (2 * v_z * v_z / (2 * n + 1));
            exit when v_term <= 1e-18 * v_sum;
            v_sum := v_sum + v_term;
        end loop;
        return 1 - 2 / sqrt(pi()) * exp(-v_z * v_z) * v_sum;
    end if;
    for n in reverse 120 .. 1 loop
        v_fraction := n / 2.0 / (v_z + v_fraction);
    end loop;
    return exp(-v_z * v_z) / sqrt(pi()) / (v_z + v_fraction);
end
$$;
comment on function risk._chi_square_tail(double precision, integer) is
    'Probability that a chi-square variable exceeds a value.';
grant execute on function risk._chi_square_tail(double precision, integer) to tsdb_reader;
