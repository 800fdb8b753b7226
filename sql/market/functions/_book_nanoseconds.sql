-- Nanoseconds since 1970-01-01 UTC. Inlined by the planner. A float keeps microseconds until 2106
-- and costs a tenth of extract's numeric.
create or replace function market._book_nanoseconds(p_ts timestamptz, p_ns smallint)
returns bigint
language sql
immutable
parallel safe
as $$
    select round(date_part('epoch', p_ts) * 1000000)::bigint * 1000 + p_ns
$$;
comment on function market._book_nanoseconds(timestamptz, smallint) is
    'Nanoseconds since 1970-01-01 UTC of a time and its remainder.';
grant execute on function market._book_nanoseconds(timestamptz, smallint) to tsdb_reader, tsdb_venue;
