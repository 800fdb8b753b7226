-- Whether a fact stood at p_at, given its known_at and superseded_at. p_at infinity: it stands now.
create or replace function ref._known(
    p_known_at timestamptz, p_superseded_at timestamptz, p_at timestamptz
)
returns boolean
language sql
immutable
parallel safe
begin atomic
    select p_known_at <= p_at and (p_superseded_at > p_at or p_superseded_at = 'infinity');
end;
grant execute on function ref._known(timestamptz, timestamptz, timestamptz) to tsdb_reader, tsdb_venue;
