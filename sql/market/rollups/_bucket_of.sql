-- The bucket that a time is in; with a time zone other than UTC, buckets start by its clock.
create or replace function market._bucket_of(p_width interval, p_ts timestamptz, p_timezone text)
returns timestamptz
language sql
immutable
parallel safe
as $$
    select case when p_timezone = 'UTC' then public.time_bucket(p_width, p_ts)
           else public.time_bucket(p_width, p_ts, p_timezone) end
$$;
grant execute on function market._bucket_of(interval, timestamptz, text) to tsdb_reader;
