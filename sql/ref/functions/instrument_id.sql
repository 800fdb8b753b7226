-- The id of a symbol. Case matters.
--
-- Without p_at: of the instrument that has the symbol at present (ref.instruments.symbol). With it:
-- of the one that had it on that day (ref.symbols), by what was known at p_known_at; an instrument
-- without any row in ref.symbols has had its present symbol always, on days on which nobody else
-- had it. Raises TT002 when there is none; the message names who had it when.
create or replace function ref.instrument_id(
    p_symbol text, p_at date default null, p_known_at timestamptz default 'infinity'
)
returns integer
language plpgsql
stable
parallel safe
as $$
declare
    v_id integer;
begin
    if p_at is null then
        select i.instrument_id into v_id from ref.instruments i where i.symbol = p_symbol;
        if v_id is null then
            raise exception 'unknown symbol %: load its ticks or call ref.add_instrument',
                coalesce(p_symbol, 'null')
                using errcode = 'TT002';
        end if;
        return v_id;
    end if;
    v_id := ref._find_instrument(p_symbol, p_at, p_known_at);
    if v_id is null then
        raise exception 'nobody had the symbol % on %: %', coalesce(p_symbol, 'null'), p_at,
            coalesce(
                (select pg_catalog.string_agg(pg_catalog.format(
                     'instrument %s had it from %s to before %s', s.instrument_id, s.valid_from,
                     s.valid_to), ', ' order by s.valid_from)
                 from ref.symbols s
                 where s.symbol = p_symbol
                     and ref._known(s.known_at, s.superseded_at, p_known_at)),
                'load its ticks or call ref.add_instrument')
            using errcode = 'TT002';
    end if;
    return v_id;
end
$$;
comment on function ref.instrument_id(text, date, timestamptz) is
    'The instrument_id of a symbol: of who has it at present, or who had it on a day, as known at a time; raises TT002 for nobody.';
grant execute on function ref.instrument_id(text, date, timestamptz) to tsdb_reader, tsdb_venue;
