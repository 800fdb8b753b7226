-- The id of a feed. Raises TT002 for one that is not there.
create or replace function market._feed_id(p_feed text)
returns integer
language plpgsql
stable
as $$
declare
    v_feed_id integer;
begin
    select f.feed_id into v_feed_id from ops.feeds f where f.feed = p_feed;
    if v_feed_id is null then
        raise exception 'unknown feed %: see ops.feeds', coalesce(p_feed, 'null')
            using errcode = 'TT002';
    end if;
    return v_feed_id;
end
$$;
-- Called by functions with the rights of their caller.
grant execute on function market._feed_id(text) to tsdb_reader;
