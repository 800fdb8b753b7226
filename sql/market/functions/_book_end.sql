-- The place after every book event up to p_as_of. Inlined by the planner.
create or replace function market._book_end(p_as_of timestamptz)
returns market.book_position
language sql
immutable
parallel safe
as $$
    select row(p_as_of, 999, 2147483647, 9223372036854775807)::market.book_position
$$;
comment on function market._book_end(timestamptz) is
    'The place in the order of book events after all of them up to a time.';
grant execute on function market._book_end(timestamptz) to tsdb_reader, tsdb_venue;
