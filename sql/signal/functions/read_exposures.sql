-- Sector and beta of instruments at a time; null where none is recorded. The sector is the present one
-- (ref.instruments), because sectors have no history.
create or replace function signal.read_exposures(p_instruments integer[], p_as_of timestamptz)
returns table (instrument_id integer, sector text, beta double precision)
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
    select i.instrument_id, i.sector, b.beta
    from ref.instruments i
    left join lateral (
        select b.beta from signal.betas b
        where b.instrument_id = i.instrument_id and b.valid_from <= p_as_of and b.superseded_at = 'infinity'
        order by b.valid_from desc limit 1) b on true
    where i.instrument_id = any (p_instruments)
$$;
comment on function signal.read_exposures(integer[], timestamptz) is
    'Sector and beta of instruments at a time; null where none is recorded.';
grant execute on function signal.read_exposures(integer[], timestamptz) to tsdb_reader;
