-- The trading date of a time: of the session that is on, or of the next one after its close. Raises
-- TT002 where its calendar is not loaded.
create or replace function ref.trading_date(p_exchange text, p_at timestamptz)
returns date
language plpgsql
stable
as $$
begin
    perform ref._check_calendar(p_exchange, p_at);
    return (
        select d.date from ref.calendar_days d
        where d.exchange = p_exchange and d.superseded_at = 'infinity' and p_at < d.closes_at
        order by d.closes_at limit 1);
end
$$;
comment on function ref.trading_date(text, timestamptz) is
    'The date of the session that is on at a time, or else of the next one.';
grant execute on function ref.trading_date(text, timestamptz) to tsdb_reader, tsdb_venue;
