-- How much of p_to one of p_from is at a session time, by what was known then: the newest closing rate, unless it
-- is older than risk.var_settings allows. Null where there is none: portfolio._rate_problem says why.
create or replace function portfolio._rate_at(p_from text, p_to text, p_as_of timestamptz)
returns numeric
language plpgsql
stable
as $$
begin
    if p_from = p_to then
        return 1;
    end if;
    return ref._latest_rate(p_from, p_to, (p_as_of at time zone 'UTC')::date, p_as_of,
        (select c.max_rate_age from risk.var_settings c order by c.settings_id desc limit 1));
end
$$;
comment on function portfolio._rate_at(text, text, timestamptz) is
    'The newest usable rate between two currencies at a session time.';
