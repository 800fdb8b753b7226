-- The day that a tick's quality is counted in: New York's, as in market.bars_1d. Inlined.
create or replace function market._quality_day(p_ts timestamptz)
returns date
language sql
immutable
parallel safe
as $$
    select (p_ts at time zone 'America/New_York')::date
$$;
-- Called from views, where the reader's rights count.
grant execute on function market._quality_day(timestamptz) to tsdb_reader;
