-- When a bucket ends: a day of New York may have 23 or 25 hours. Inlined.
create or replace function market._bucket_end(
    p_bucket timestamptz, p_width interval, p_timezone text
)
returns timestamptz
language sql
immutable
parallel safe
as $$
    select (p_bucket at time zone p_timezone + p_width) at time zone p_timezone
$$;
-- Called from views, where the reader's rights count.
grant execute on function market._bucket_end(timestamptz, interval, text) to tsdb_reader;
