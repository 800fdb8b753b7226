-- When an exchange closes next after a time. Raises TT002 where its calendar is not
-- loaded. The start of a lunch break is no close.
create or replace function ref.next_close(p_exchange text, p_at timestamptz)
returns timestamptz
language plpgsql
stable
as $$
begin
    perform ref._check_calendar(p_exchange, p_at);
    return (
        select d.closes_at from ref.calendar_days d
        where d.exchange = p_exchange and d.superseded_at = 'infinity' and p_at < d.closes_at
        order by d.closes_at limit 1);
end
$$;
comment on function ref.next_close(text, timestamptz) is
    'When an exchange closes next after a time.';
grant execute on function ref.next_close(text, timestamptz) to tsdb_reader, tsdb_venue;
