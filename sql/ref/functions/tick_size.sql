-- The tick size of an instrument at a price on a day: of ref.tick_sizes valid then, the row with the
-- highest price_from that is not above abs(p_price); without one, the instrument's own tick_size.
-- Raises TT002 for an unknown instrument, TT001 for a price that is none.
create or replace function ref.tick_size(
    p_instrument_id integer, p_price numeric, p_at date,
    p_known_at timestamptz default 'infinity'
)
returns numeric
language plpgsql
stable
parallel safe
as $$
declare
    v_size numeric;
begin
    if p_price is null or p_at is null or not abs(p_price) < 'infinity' then
        raise exception 'no tick size for the price % on %', coalesce(p_price::text, 'null'),
            coalesce(p_at::text, 'null') using errcode = 'TT001';
    end if;
    select coalesce(
        (select t.tick_size from ref.tick_sizes t
         where t.instrument_id = i.instrument_id and t.price_from <= abs(p_price)
             and t.valid_from <= p_at and p_at < t.valid_to
             and ref._known(t.known_at, t.superseded_at, p_known_at)
         order by t.price_from desc limit 1),
        i.tick_size)
    into v_size
    from ref.instruments i
    where i.instrument_id = p_instrument_id;
    if v_size is null then
        raise exception 'unknown instrument %', coalesce(p_instrument_id::text, 'null')
            using errcode = 'TT002';
    end if;
    return v_size;
end
$$;
comment on function ref.tick_size(integer, numeric, date, timestamptz) is
    'The tick size of an instrument at a price on a day, as known at a time.';
grant execute on function ref.tick_size(integer, numeric, date, timestamptz) to tsdb_reader, tsdb_venue;
