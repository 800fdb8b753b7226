-- Registers a file of ticks, with its feed and instrument, or finds it again.
--
-- p_sha256 is of the uncompressed content, p_content says what the bytes are about
-- (AIG/2013-10-07/quotes). Other bytes about the same content in the same feed are refused with
-- TT001: they would be stored on top of the first. p_known_only refuses symbols that are not
-- registered (TT002). Returns the resume point: next_row, status loading or complete.
-- The caller holds the lock of market.lock_content.
create or replace function market.open_source(
    p_feed text,
    p_format text,
    p_sha256 text,
    p_content text,
    p_name text,
    p_kind text,
    p_symbol text,
    p_known_only boolean default false
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
    if p_known_only then
        v_instrument := ref.instrument_id(p_symbol);
    else
        insert into ref.instruments (symbol) values (p_symbol) on conflict (symbol) do nothing;
        v_instrument := ref.instrument_id(p_symbol);
    end if;
    insert into ops.feeds (feed, format) values (p_feed, p_format) on conflict (feed) do nothing;
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
    insert into market.sources (feed_id, sha256, content, name, kind, instrument_id)
    values (v_feed.feed_id, p_sha256, p_content, p_name, p_kind, v_instrument)
    on conflict (feed_id, sha256, content) do nothing;
    return query
    select s.source_id, s.feed_id, s.instrument_id, i.price_scale, i.size_scale, s.status,
           s.next_row
    from market.sources s
    join ref.instruments i on i.instrument_id = s.instrument_id
    where s.feed_id = v_feed.feed_id and s.sha256 = p_sha256 and s.content = p_content;
end
$$;
comment on function market.open_source(text, text, text, text, text, text, text, boolean) is
    'Registers a file of ticks (feed, SHA-256, content) or finds it again, with its resume point.';
grant execute on function
    market.open_source(text, text, text, text, text, text, text, boolean) to tsdb_worker;
