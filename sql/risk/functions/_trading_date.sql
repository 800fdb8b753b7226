-- The trading date of a time: of the session that is on or the next one where the settings name a calendar that
-- reaches it, else its date in New York.
create or replace function risk._trading_date(p_as_of timestamptz, p_calendar text)
returns date
language sql
stable
as $$
    select coalesce(
        (
            select min(d.date) from ref.calendar_days d
            where d.exchange = p_calendar and d.superseded_at = 'infinity' and d.closes_at > p_as_of),
        (p_as_of at time zone 'America/New_York')::date)
$$;
comment on function risk._trading_date(timestamptz, text) is 'The trading date of a time.';
