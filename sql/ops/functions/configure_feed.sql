-- Gives a stream another configuration; the feeds worker restarts it with that at once.
-- Errors: TT002 no stream of that name; TT001 no JSON object.
create or replace function ops.configure_feed(p_feed text, p_configuration jsonb)
returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    perform ops._audit('ops.configure_feed', p_feed, jsonb_build_object('configuration', p_configuration));
    if jsonb_typeof(p_configuration) is distinct from 'object' then
        raise exception 'the configuration of feed % is no JSON object', p_feed
            using errcode = 'TT001';
    end if;
    update ops.feeds set configuration = p_configuration where feed = p_feed and kind = 'stream';
    if not found then
        raise exception 'stream "%" does not exist: see ops.feeds', p_feed using errcode = 'TT002';
    end if;
    perform pg_notify('ops_feeds', '');
end
$$;
comment on function ops.configure_feed(text, jsonb) is
    'Gives a stream another configuration, which takes effect at once.';
grant execute on function ops.configure_feed(text, jsonb) to tsdb_ops;
