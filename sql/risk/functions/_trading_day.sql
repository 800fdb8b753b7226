-- The trading date of a time, when it started (the close before) and when its session opens. Without a
-- calendar the day is that of UTC and opens as it starts. With one that does not cover the time, all three
-- are null, so that what depends on the day is unknown and not wrong.
create or replace function risk._trading_day(
    p_calendar text,
    p_as_of timestamptz,
    out trading_date date,
    out starts_at timestamptz,
    out opens_at timestamptz
)
language plpgsql
stable
as $$
begin
    if p_calendar is null then
        starts_at := date_trunc('day', p_as_of, 'UTC');
        opens_at := starts_at;
        trading_date := (starts_at at time zone 'UTC')::date;
        return;
    end if;
    begin
        trading_date := ref.trading_date(p_calendar, p_as_of);
    exception
        when sqlstate 'TT002' then
            return;
    end;
    select d.opens_at into opens_at from ref.calendar_days d
    where d.exchange = p_calendar and d.date = trading_date and d.superseded_at = 'infinity';
    select coalesce(max(d.closes_at), '-infinity') into starts_at from ref.calendar_days d
    where d.exchange = p_calendar and d.superseded_at = 'infinity' and d.closes_at <= p_as_of;
end
$$;
comment on function risk._trading_day(text, timestamptz) is 'The trading date of a time, its start and its open.';
