-- Whether an exchange is in a regular session at a time: from the open, included, to the close,
-- excluded, and not in the lunch break. Raises TT002 where its calendar is not loaded.
create or replace function ref.is_open(p_exchange text, p_at timestamptz)
returns boolean
language plpgsql
stable
as $$
begin
    perform ref._check_calendar(p_exchange, p_at);
    return exists (
        select from ref.calendar_days d
        where d.exchange = p_exchange and d.superseded_at = 'infinity'
            and d.opens_at <= p_at and p_at < d.closes_at
            and not coalesce(d.break_starts_at <= p_at and p_at < d.break_ends_at, false));
end
$$;
comment on function ref.is_open(text, timestamptz) is
    'Whether an exchange is in a regular session at a time; its lunch break is none.';
grant execute on function ref.is_open(text, timestamptz) to tsdb_reader, tsdb_venue;
