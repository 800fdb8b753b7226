-- The trading dates of an exchange, both ends included. Raises TT002 where its calendar is not
-- loaded.
create or replace function ref.trading_days(p_exchange text, p_from date, p_to date)
returns setof date
language plpgsql
stable
as $$
begin
    if not exists (
        select from ref.calendars c
        where c.exchange = p_exchange and p_from >= c.first_date and p_to <= c.last_date)
    then
        -- Says what there is.
        perform ref._check_calendar(p_exchange, null);
    end if;
    return query
    select d.date from ref.calendar_days d
    where d.exchange = p_exchange and d.superseded_at = 'infinity'
        and d.date between p_from and p_to
    order by d.date;
end
$$;
comment on function ref.trading_days(text, date, date) is
    'The trading dates of an exchange in a range of dates, both ends included.';
grant execute on function ref.trading_days(text, date, date) to tsdb_reader, tsdb_venue;
