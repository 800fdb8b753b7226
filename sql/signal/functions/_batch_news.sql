-- The headlines that belong to a batch: those recorded with it, or where rules were never evaluated on it, those
-- that became known after p_from and up to its end.
create or replace function signal._batch_news(p_batch market.batches, p_from timestamptz)
returns table (
    as_of timestamptz,
    feed_id integer,
    source_id integer,
    seq bigint,
    ts timestamptz,
    instrument_ids integer[],
    sentiment numeric,
    headline text
)
language plpgsql
stable
as $$
#variable_conflict use_column
begin
    if exists (
        select from signal.rule_batches b
        where b.session_id = p_batch.session_id and b.batch_no = p_batch.batch_no)
    then
        return query
        select r.as_of, n.feed_id, n.source_id, n.seq, n.ts, n.instrument_ids, n.sentiment, n.headline
        from signal.batch_news r
        join market.news n on n.ts = r.news_ts and n.source_id = r.source_id and n.seq = r.seq
        where r.session_id = p_batch.session_id and r.batch_no = p_batch.batch_no;
    else
        return query
        select greatest(n.ts, n.recv_ts), n.feed_id, n.source_id, n.seq, n.ts, n.instrument_ids, n.sentiment, n.headline
        from market.news n
        where greatest(n.ts, n.recv_ts) > p_from and greatest(n.ts, n.recv_ts) <= p_batch.as_of
            -- Bounds the chunks: nothing older is news.
            and n.ts > p_from - interval '30 days' and n.ts <= p_batch.as_of;
    end if;
end
$$;
comment on function signal._batch_news(market.batches, timestamptz) is 'The headlines that belong to a batch.';
