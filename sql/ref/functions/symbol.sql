-- The symbol an instrument had on a day, by what was known at p_known_at. Without a row in
-- ref.symbols for that day it is the present one. Null for an unknown instrument.
create or replace function ref.symbol(
    p_instrument_id integer, p_at date, p_known_at timestamptz default 'infinity'
)
returns text
language sql
stable
parallel safe
begin atomic
    select coalesce(
        (select s.symbol from ref.symbols s
         where s.instrument_id = i.instrument_id and s.valid_from <= p_at and p_at < s.valid_to
             and ref._known(s.known_at, s.superseded_at, p_known_at)
         order by s.symbol limit 1),
        i.symbol)
    from ref.instruments i
    where i.instrument_id = p_instrument_id;
end;
comment on function ref.symbol(integer, date, timestamptz) is
    'The symbol an instrument had on a day, as known at a time; the present one where nothing is recorded.';
grant execute on function ref.symbol(integer, date, timestamptz) to tsdb_reader, tsdb_venue;
