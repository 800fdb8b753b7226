-- A return from one date to another for who counts in another currency, by the rates as known now: (1 + r) (1 + x) - 1.
-- Null where a rate is missing.
create or replace function risk._converted_return(
    p_return double precision, p_from text, p_to text, p_since date, p_date date
)
returns double precision
language plpgsql
stable
as $$
declare
    v_max_age constant interval := (risk._var_settings()).max_rate_age;
begin
    return (1 + p_return) * (ref._latest_rate(p_from, p_to, p_date, 'infinity', v_max_age)
        / ref._latest_rate(p_from, p_to, p_since, 'infinity', v_max_age))::double precision - 1;
end
$$;
comment on function risk._converted_return(double precision, text, text, date, date) is
    'A return for who counts in another currency.';
