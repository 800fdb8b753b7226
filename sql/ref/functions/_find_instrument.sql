-- As ref.instrument_id(symbol, date), but null when nobody had the symbol then.
create or replace function ref._find_instrument(
    p_symbol text, p_at date, p_known_at timestamptz default 'infinity'
)
returns integer
language sql
stable
parallel safe
begin atomic
    select coalesce(
        (select s.instrument_id from ref.symbols s
         where s.symbol = p_symbol and s.valid_from <= p_at and p_at < s.valid_to
             and ref._known(s.known_at, s.superseded_at, p_known_at)),
        (select i.instrument_id from ref.instruments i
         where i.symbol = p_symbol and p_at is not null
             and not exists (
                 select from ref.symbols s where s.instrument_id = i.instrument_id)));
end;
grant execute on function ref._find_instrument(text, date, timestamptz) to tsdb_reader, tsdb_venue;
