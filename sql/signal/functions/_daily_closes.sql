-- When the days from p_from to p_to end in New York: at the close of XNYS (ref.calendar_days) where
-- the date is among its sessions, else at 16:00.
create or replace function signal._daily_closes(p_from date, p_to date)
returns table (date date, closes_at timestamptz)
language sql
stable
as $$
    select d.day::date, coalesce(c.closes_at, (d.day + interval '16 hours') at time zone 'America/New_York')
    from generate_series(p_from::timestamp, p_to::timestamp, interval '1 day') d (day)
    left join ref.calendar_days c
        on c.exchange = 'XNYS' and c.date = d.day::date and c.superseded_at = 'infinity'
$$;
comment on function signal._daily_closes(date, date) is 'When the days of a range end in New York.';
