-- Sums up market.news_at in one row: how many stories, how many of them scored, their mean score,
-- the last score and its time. A story sent several times under one id counts once, with the last
-- form known at p_as_of. Without news, counts of 0 and nulls.
create or replace function market.sentiment_at(
    p_instrument_id integer,
    p_as_of timestamptz,
    p_window interval default '1 day',
    p_model text default null,
    p_model_version text default null
)
returns table (
    stories bigint,
    scored bigint,
    mean_sentiment numeric,
    last_sentiment numeric,
    last_ts timestamptz
)
language sql
stable
parallel safe
as $$
    select count(*), count(s.sentiment), avg(s.sentiment),
           (array_agg(s.sentiment order by s.ts desc, s.source_id desc, s.seq desc)
               filter (where s.sentiment is not null))[1],
           max(s.ts)
    from (
        select distinct on (n.feed_id, coalesce(n.headline_id, n.source_id || '/' || n.seq)) n.*
        from market.news_at(p_instrument_id, p_as_of, p_window, p_model, p_model_version) n
        order by n.feed_id, coalesce(n.headline_id, n.source_id || '/' || n.seq), n.recv_ts desc,
                 n.ts desc, n.source_id desc, n.seq desc
    ) s
$$;
comment on function market.sentiment_at(integer, timestamptz, interval, text, text) is
    'Stories about an instrument known at a time: count, mean score, last score.';
grant execute on function market.sentiment_at(integer, timestamptz, interval, text, text) to tsdb_reader;
