-- Errors: TT002 no simulated venue of that name.
create or replace function venue._check_venue(p_venue text)
returns void
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
begin
    if not exists (select from venue._settings s where s.venue = p_venue) then
        raise exception 'no simulated venue is called "%": see venue.settings', p_venue
            using errcode = 'TT002';
    end if;
end
$$;
