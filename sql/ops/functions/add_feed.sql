-- Registers a stream, which a feeds worker starts at once; returns its feed_id.
--
-- p_format: websocket, kafka, zeromq, itch_udp or fix. p_configuration: what the format asks for
-- (docs/feeds.md); secrets stay in the environment of the worker and are named as {"env": "NAME"}.
-- Doing it again with the same definition changes nothing; with another one it raises TT006, see
-- ops.configure_feed. TT001: a name or configuration that cannot be.
create or replace function ops.add_feed(
    p_feed text,
    p_format text,
    p_configuration jsonb default '{}'
)
returns integer
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_feed ops.feeds;
begin
    perform ops._audit('ops.add_feed', p_feed,
        jsonb_build_object('format', p_format, 'configuration', p_configuration));
    if p_feed !~ '^[A-Za-z0-9_.-]{1,48}$' is not false then
        raise exception 'feed "%" cannot be a name: use up to 48 letters, digits, _, . and -', p_feed
            using errcode = 'TT001';
    elsif jsonb_typeof(p_configuration) is distinct from 'object' then
        raise exception 'the configuration of feed % is no JSON object', p_feed
            using errcode = 'TT001';
    end if;
    insert into ops.feeds (feed, format, kind, configuration)
    values (p_feed, p_format, 'stream', p_configuration)
    on conflict (feed) do nothing
    returning * into v_feed;
    if v_feed.feed_id is null then
        select f.* into strict v_feed from ops.feeds f where f.feed = p_feed;
        if (v_feed.kind, v_feed.format, v_feed.configuration)
            is distinct from ('stream', p_format, p_configuration)
        then
            raise exception 'feed % exists with another definition: choose another name or change it with ops.configure_feed',
                p_feed using errcode = 'TT006';
        end if;
    end if;
    perform pg_notify('ops_feeds', '');
    return v_feed.feed_id;
end
$$;
comment on function ops.add_feed(text, text, jsonb) is
    'Registers a stream of market data, which a feeds worker starts at once; returns its feed_id.';
grant execute on function ops.add_feed(text, text, jsonb) to tsdb_ops;
