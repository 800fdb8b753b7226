-- The id of a venue. Errors: TT002 unknown venue.
create or replace function ref._venue_id(p_venue text)
returns integer
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
    v_venue_id integer;
begin
    select v.venue_id into v_venue_id from ref.venues v where v.venue = p_venue;
    if not found then
        raise exception 'venue "%" does not exist', p_venue using errcode = 'TT002';
    end if;
    return v_venue_id;
end
$$;
comment on function ref._venue_id(text) is 'The id of a venue, or TT002.';
