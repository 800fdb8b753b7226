-- Features of headlines that became known in (p_from, p_to], one row per instrument and time at which a scored
-- headline about it became known: 1 news_sentiment: the mean score of the headlines published in the 5 days
-- before, each weighted by exp(-age in days); 2 news_count_5d: how many these are.
-- A headline is known when it was published or received, whichever is later. Its score is the one of its
-- storing; without one, the first of market.news_scores, from when it was scored. A story sent several times
-- under one id counts once, with the last form known. p_instruments null: all.
create or replace function signal.news_features(
    p_instruments integer[],
    p_from timestamptz,
    p_to timestamptz
)
returns table (as_of timestamptz, instrument_id integer, features double precision[])
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
    with headlines as materialized (
        select u.instrument_id, n.ts, n.recv_ts, n.source_id, n.seq, n.feed_id,
               coalesce(n.headline_id, n.source_id || '/' || n.seq) as story,
               coalesce(n.sentiment, s.sentiment)::float8 as sentiment,
               greatest(n.ts, n.recv_ts, s.scored_at) as known_at
        from market.news n
        cross join lateral unnest(n.instrument_ids) u (instrument_id)
        left join lateral (
            select c.sentiment, c.scored_at from market.news_scores c
            where n.sentiment is null and c.source_id = n.source_id and c.seq = n.seq
            order by c.scored_at, c.model, c.model_version limit 1) s on true
        where n.ts > p_from - interval '5 days' and n.ts <= p_to
            and (p_instruments is null or u.instrument_id = any (p_instruments))
            and coalesce(n.sentiment, s.sentiment) is not null
    ),
    told as (
        select distinct h.instrument_id, h.known_at
        from headlines h
        where h.known_at > p_from and h.known_at <= p_to and h.ts > h.known_at - interval '5 days'
    )
    select t.known_at, t.instrument_id, f.features
    from told t
    cross join lateral (
        select array[
            sum(d.sentiment * d.weight order by d.ts, d.source_id, d.seq) / sum(d.weight order by d.ts, d.source_id, d.seq),
            count(*)] as features
        from (
            select distinct on (h.feed_id, h.story) h.sentiment, h.ts, h.source_id, h.seq,
                   exp(-extract(epoch from t.known_at - h.ts)::float8 / 86400) as weight
            from headlines h
            where h.instrument_id = t.instrument_id and h.known_at <= t.known_at
                and h.ts > t.known_at - interval '5 days'
            order by h.feed_id, h.story, h.recv_ts desc, h.source_id desc, h.seq desc) d) f
$$;
comment on function signal.news_features(integer[], timestamptz, timestamptz) is
    'Mean sentiment and number of the headlines of 5 days, known in a window.';
grant execute on function signal.news_features(integer[], timestamptz, timestamptz)
    to tsdb_reader, tsdb_worker_signals, tsdb_worker_scheduler;
