-- Takes or gives back the lock under which a content is loaded into a feed, for the connection.
-- A second load of the same content waits here and then finds it loaded.
create or replace function market.lock_content(p_feed text, p_content text, p_lock boolean)
returns void
language plpgsql
as $$
declare
    v_key bigint := pg_catalog.hashtextextended(p_feed || ' ' || p_content, 7418529);
begin
    if p_lock then
        perform pg_catalog.pg_advisory_lock(v_key);
    else
        perform pg_catalog.pg_advisory_unlock(v_key);
    end if;
end
$$;
comment on function market.lock_content(text, text, boolean) is
    'Takes or gives back the lock under which a content is loaded into a feed.';
grant execute on function market.lock_content(text, text, boolean) to tsdb_worker_feeds;
