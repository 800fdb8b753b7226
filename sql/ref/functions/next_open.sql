-- When an exchange opens next after a time. Raises TT002 where its calendar is not
-- loaded. The end of a lunch break is no opening.
create or replace function ref.next_open(p_exchange text, p_at timestamptz)
returns timestamptz
language plpgsql
stable
as $$
declare
    v_opens_at timestamptz;
begin
    select min(d.opens_at) into v_opens_at
    from ref.calendar_days d
    where d.exchange = p_exchange and d.superseded_at = 'infinity' and p_at < d.opens_at;
    -- In the last session nobody knows when the next one opens.
    perform ref._check_calendar(p_exchange, case when v_opens_at is not null then p_at end);
    return v_opens_at;
end
$$;
comment on function ref.next_open(text, timestamptz) is
    'When an exchange opens next after a time.';
grant execute on function ref.next_open(text, timestamptz) to tsdb_reader, tsdb_venue;
