-- The standard normal's quantile, to about 16 digits: Wichura 1988, algorithm AS 241 (PPND16).
create or replace function risk._normal_quantile(p_probability double precision)
returns double precision
language plpgsql
immutable
strict
parallel safe
as $$
declare
    v_q constant double precision := p_probability - 0.5;
    v_r double precision;
    v_x double precision;
begin
    if abs(v_q) <= 0.425 then
        v_r := 0.180625 - v_q * v_q;
        return v_q * (((((((2509.0809287301226727 * v_r + 33430.575583588128105) * v_r + 67265.770927008700853) * v_r
            + 45921.953931549871457) * v_r + 13731.693765509461125) * v_r + 1971.5909503065514427) * v_r
            + 133.14166789178437745) * v_r + 3.387132872796366608)
            / (((((((5226.495278852854561 * v_r + 28729.085735721942674) * v_r + 39307.89580009271061) * v_r
            + 21213.794301586595867) * v_r + 5394.1960214247511077) * v_r + 687.1870074920579083) * v_r
            + 42.313330701600911252) * v_r + 1.0);
    end if;
    v_r := sqrt(-ln(case when v_q < 0 then p_probability else 1 - p_probability end));
    if v_r <= 5 then
        v_r := v_r - 1.6;
        v_x := (((((((7.7454501427834140764e-4 * v_r + 0.0227238449892691845833) * v_r + 0.24178072517745061177) * v_r
            + 1.27045825245236838258) * v_r + 3.64784832476320460504) * v_r + 5.7694972214606914055) * v_r
            + 4.6303378461565452959) * v_r + 1.42343711074968357734)
            / (((((((1.05075007164441684324e-9 * v_r + 5.475938084995344946e-4) * v_r + 0.0151986665636164571966) * v_r
            + 0.14810397642748007459) * v_r + 0.68976733498510000455) * v_r + 1.6763848301838038494) * v_r
            + 2.05319162663775882187) * v_r + 1.0);
    else
        v_r := v_r - 5;
        v_x := (((((((2.01033439929228813265e-7 * v_r + 2.71155556874348757815e-5) * v_r
            + 0.0012426609473880784386) * v_r + 0.026532189526576123093) * v_r + 0.29656057182850489123) * v_r
            + 1.7848265399172913358) * v_r + 5.4637849111641143699) * v_r + 6.6579046435011037772)
            / (((((((2.04426310338993978564e-15 * v_r + 1.4215117583164458887e-7) * v_r
            + 1.8463183175100546818e-5) * v_r + 7.868691311456132591e-4) * v_r + 0.0148753612908506148525) * v_r
            + 0.13692988092273580531) * v_r + 0.59983220655588793769) * v_r + 1.0);
    end if;
    return case when v_q < 0 then -v_x else v_x end;
end
$$;
comment on function risk._normal_quantile(double precision) is 'The standard normal''s quantile.';
grant execute on function risk._normal_quantile(double precision) to tsdb_reader;
