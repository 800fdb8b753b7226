-- The history that counts at a time for who counts in a currency: the newest set known by then, unless it is too
-- old to use.
create or replace function risk._return_set(p_as_of timestamptz, p_currency text)
returns risk._return_sets
language sql
stable
as $$
    select s from risk._return_sets s, risk._var_settings() c
    where s.currency = p_currency and s.known_at <= p_as_of and s.known_at >= p_as_of - c.max_history_age
    order by s.known_at desc, s.set_id desc limit 1
$$;
comment on function risk._return_set(timestamptz, text) is
    'The set of history that counts at a time for who counts in a currency.';
