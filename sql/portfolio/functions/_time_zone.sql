-- The time zone of an instrument's days: that of its primary listing's venue, UTC where nobody recorded one.
create or replace function portfolio._time_zone(p_instrument_id integer)
returns text
language sql
stable
as $$
    select coalesce((
        select v.time_zone
        from ref.listings l
        join ref.venues v using (venue)
        where l.instrument_id = p_instrument_id and l.is_primary and l.superseded_at = 'infinity'
            and v.time_zone is not null
        order by l.valid_from desc limit 1), 'UTC')
$$;
comment on function portfolio._time_zone(integer) is 'The time zone of an instrument''s days.';
