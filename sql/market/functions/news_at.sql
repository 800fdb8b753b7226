-- The headlines about an instrument that were known at p_as_of (ts and recv_ts both up to it) and
-- that their source dates within p_window before it, the latest last. Nothing stored later with a
-- later recv_ts can change the answer, so it is safe in backtests; a strategy joins it laterally:
--
--   select q.ts, n.headline from market.quotes q
--   cross join lateral market.news_at(q.instrument_id, q.ts, '10 minutes') n where ...
--
-- The score is the one given when the headline was stored. p_model and p_model_version ask for that
-- of another model (null: not scored by it), which may have been made later than the headline.
-- Inlined, so that only the chunks of the window are read; null parameters give no rows.
create or replace function market.news_at(
    p_instrument_id integer,
    p_as_of timestamptz,
    p_window interval default '1 day',
    p_model text default null,
    p_model_version text default null
)
returns table (
    ts timestamptz,
    recv_ts timestamptz,
    feed_id integer,
    source_id integer,
    seq bigint,
    flags smallint,
    headline_id text,
    headline text,
    url text,
    symbols text[],
    sentiment numeric,
    model text,
    model_version text
)
language sql
stable
parallel safe
as $$
    select n.ts, n.recv_ts, n.feed_id, n.source_id, n.seq, n.flags, n.headline_id, n.headline, n.url,
           n.symbols, coalesce(s.sentiment, o.sentiment), coalesce(s.model, o.model),
           coalesce(s.model_version, o.model_version)
    from market.news n
    left join market.news_scores s
        on s.source_id = n.source_id and s.seq = n.seq
        and s.model = p_model and s.model_version = p_model_version
    cross join lateral (
        select n.sentiment, n.model, n.model_version
        where p_model is null
            or (n.model = p_model and n.model_version = p_model_version)
        union all
        select null, null, null
        where p_model is not null
            and (n.model = p_model and n.model_version = p_model_version) is not true
    ) o
    where n.ts > p_as_of - p_window and n.ts <= p_as_of and n.recv_ts <= p_as_of
        and n.instrument_ids @> array[p_instrument_id]
    order by n.ts, n.ns, n.feed_id, n.source_id, n.seq
$$;
comment on function market.news_at(integer, timestamptz, interval, text, text) is
    'Headlines about an instrument known at a time and published within a window before it, with the score of their storing or of a named model.';
grant execute on function market.news_at(integer, timestamptz, interval, text, text) to tsdb_reader;
