-- The feed whose book a question is about: the one named, else the one with the instrument's
-- latest event up to p_as_of; null when there is none. Books of several feeds are never mixed.
-- Raises TT002 for an unknown instrument or feed, TT001 for a time that is null or whose books are
-- dropped.
create or replace function market._book_feed(
    p_instrument_id integer, p_as_of timestamptz, p_feed text
)
returns integer
language plpgsql
stable
-- Plans made for the values leave out the chunks that they exclude.
set plan_cache_mode = force_custom_plan
as $$
declare
    v_feed_id integer;
    v_began timestamptz;
begin
    if p_as_of is null then
        raise exception 'no time given: say as of when' using errcode = 'TT001';
    elsif p_as_of < market._books_known_from() then
        raise exception 'books before % are dropped: see market.retention',
            market._books_known_from() using errcode = 'TT001';
    elsif not exists (
        select from ref.instruments i where i.instrument_id = p_instrument_id)
    then
        raise exception 'unknown instrument %: see ref.instruments',
            coalesce(p_instrument_id::text, 'null') using errcode = 'TT002';
    end if;
    if p_feed is not null then
        select f.feed_id into v_feed_id from ops.feeds f where f.feed = p_feed;
        if v_feed_id is null then
            raise exception 'unknown feed %: see ops.feeds', p_feed using errcode = 'TT002';
        end if;
        return v_feed_id;
    end if;
    -- Mostly there is one, and nothing more to look up; else the feed whose book had an event last.
    select case when count(*) = 1 then min(f.feed_id) end, max(f.began)
    into v_feed_id, v_began
    from (
        select s.feed_id, max(s.first_ts) as began
        from market.sources s
        where s.instrument_id = p_instrument_id and s.kind = 'book_events'
            and s.first_ts <= p_as_of
        group by s.feed_id
    ) f;
    if v_feed_id is null and v_began is not null then
        select e.feed_id into v_feed_id
        from market._book_events e
        where e.instrument_id = p_instrument_id and e.ts >= v_began and e.ts <= p_as_of
        order by e.ts desc, e.ns desc, e.source_id desc, e.seq desc
        limit 1;
    end if;
    return v_feed_id;
end
$$;
comment on function market._book_feed(integer, timestamptz, text) is
    'The feed that a question about a book means: the one named, or the one with the latest event.';
grant execute on function market._book_feed(integer, timestamptz, text) to tsdb_reader, tsdb_venue;
