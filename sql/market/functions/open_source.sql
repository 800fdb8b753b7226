-- Registers a file or stream, with its feed and instrument, or finds it again.
--
-- p_sha256 is of a file's uncompressed content ('stream' for streams), p_content says what the
-- bytes are about (AIG/2013-10-07/quotes). Other bytes about the same content in the same feed are
-- refused with TT001: they would be stored on top of the first. p_kind many: of several instruments
-- or kinds, which get parts (market.open_parts); else p_symbol is its instrument. p_known_only
-- refuses symbols that are not registered (TT002); others are registered with p_definition.
-- Returns the resume point: next_row (p_first_row at first), status loading or complete.
-- The caller holds the lock of market.lock_content.
create or replace function market.open_source(
    p_feed text,
    p_format text,
    p_sha256 text,
    p_content text,
    p_name text,
    p_kind text,
    p_symbol text,
    p_known_only boolean default false,
    p_definition jsonb default '{}',
    p_first_row bigint default 0
)
returns table (
    source_id integer,
    feed_id integer,
    instrument_id integer,
    price_scale smallint,
    size_scale smallint,
    status text,
    next_row bigint
)
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    v_feed ops.feeds;
    v_instrument integer;
begin
    if p_kind <> 'many' and p_symbol is not null then
        v_instrument := market._register_instrument(p_symbol, p_definition, p_known_only);
    end if;
    insert into ops.feeds (feed, format, kind)
    values (p_feed, p_format, case p_sha256 when 'stream' then 'stream' else 'file' end)
    on conflict (feed) do nothing;
    select f.* into strict v_feed from ops.feeds f where f.feed = p_feed;
    if v_feed.format <> p_format then
        raise exception 'feed % holds %: name another one with --feed', p_feed, v_feed.format
            using errcode = 'TT006';
    end if;
    if exists (
        select from market.sources s
        where s.feed_id = v_feed.feed_id and s.content = p_content and s.sha256 <> p_sha256)
    then
        raise exception
            'feed % already has % from other bytes: name another feed with --feed to keep both',
            p_feed, p_content using errcode = 'TT001';
    end if;
    insert into market.sources
        (feed_id, sha256, content, name, kind, instrument_id, first_row, next_row)
    values (v_feed.feed_id, p_sha256, p_content, p_name, p_kind, v_instrument, p_first_row,
            p_first_row)
    on conflict (feed_id, sha256, content) do nothing;
    return query
    select s.source_id, s.feed_id, s.instrument_id, i.price_scale, i.size_scale, s.status,
           s.next_row
    from market.sources s
    left join ref.instruments i on i.instrument_id = s.instrument_id
    where s.feed_id = v_feed.feed_id and s.sha256 = p_sha256 and s.content = p_content;
end
$$;
comment on function
    market.open_source(text, text, text, text, text, text, text, boolean, jsonb, bigint) is
    'Registers a file or stream (feed, SHA-256, content) or finds it again, with its resume point.';
grant execute on function
    market.open_source(text, text, text, text, text, text, text, boolean, jsonb, bigint) to tsdb_worker_feeds;
