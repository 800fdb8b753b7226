-- Raises TT002 unless the sessions around a time are loaded: without them, nobody knows whether an
-- exchange is open.
create or replace function ref._check_calendar(p_exchange text, p_at timestamptz)
returns void
language plpgsql
stable
as $$
declare
    v_calendar ref.calendars;
    v_last timestamptz;
begin
    select c.* into v_calendar from ref.calendars c where c.exchange = p_exchange;
    if v_calendar.exchange is null then
        raise exception 'no calendar of %: load it with `tsdb-trader ref calendar`',
            coalesce(p_exchange, 'null') using errcode = 'TT002';
    end if;
    select max(d.closes_at) into v_last
    from ref.calendar_days d
    where d.exchange = p_exchange and d.superseded_at = 'infinity';
    if not coalesce(
        p_at >= v_calendar.first_date::timestamp at time zone v_calendar.time_zone
        and p_at < v_last, false)
    then
        raise exception
            'the calendar of % goes from % to %: load more with `tsdb-trader ref calendar`',
            p_exchange, v_calendar.first_date, v_calendar.last_date using errcode = 'TT002';
    end if;
end
$$;
grant execute on function ref._check_calendar(text, timestamptz) to tsdb_reader, tsdb_venue;
