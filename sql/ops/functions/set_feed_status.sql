-- Starts (active) or stops (inactive) a stream; the feeds worker follows at once.
-- Errors: TT002 no stream of that name; TT001 another status.
create or replace function ops.set_feed_status(p_feed text, p_status text)
returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    perform ops._audit('ops.set_feed_status', p_feed, jsonb_build_object('status', p_status));
    if p_status in ('active', 'inactive') is not true then
        raise exception 'a feed cannot be "%": use active or inactive', p_status
            using errcode = 'TT001';
    end if;
    update ops.feeds set status = p_status where feed = p_feed and kind = 'stream';
    if not found then
        raise exception 'stream "%" does not exist: see ops.feeds', p_feed using errcode = 'TT002';
    end if;
    perform pg_notify('ops_feeds', '');
end
$$;
comment on function ops.set_feed_status(text, text) is
    'Starts (active) or stops (inactive) a stream of market data.';
grant execute on function ops.set_feed_status(text, text) to tsdb_ops;
