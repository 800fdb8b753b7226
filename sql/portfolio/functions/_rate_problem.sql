-- Why there is no usable rate between two currencies at a session time; null where there is one.
create or replace function portfolio._rate_problem(p_from text, p_to text, p_as_of timestamptz)
returns text
language plpgsql
stable
as $$
begin
    return case
        when portfolio._rate_at(p_from, p_to, p_as_of) is not null then null
        when ref._latest_rate(p_from, p_to, (p_as_of at time zone 'UTC')::date, p_as_of, '100 years') is not null
            then format('the rate between %s and %s is too old', p_from, p_to)
        else format('no rate between %s and %s is known', p_from, p_to) end;
end
$$;
comment on function portfolio._rate_problem(text, text, timestamptz) is
    'Why there is no usable rate between two currencies.';
