-- When the New York Stock Exchange opens and closes on a date: as in ref.calendar_days of XNYS where
-- that has the date, else from 09:30 to 16:00 in New York.
create or replace function backtest._day_hours(p_date date)
returns table (opens_at timestamptz, closes_at timestamptz)
language sql
stable
parallel safe
as $$
    select coalesce(c.opens_at, (p_date + time '9:30') at time zone 'America/New_York'),
           coalesce(c.closes_at, (p_date + time '16:00') at time zone 'America/New_York')
    from (values (1)) one (n)
    left join ref.calendar_days c
        on c.exchange = 'XNYS' and c.date = p_date and c.superseded_at = 'infinity'
$$;
comment on function backtest._day_hours(date) is 'When the New York Stock Exchange opens and closes on a date.';
grant execute on function backtest._day_hours(date) to tsdb_reader;
