-- The events of a batch as rules see them, in their order: its ticks, and the headlines that became known since
-- the batch before, by session time; ticks before headlines of the same time. Headlines are those recorded with
-- the batch, if rules were evaluated on it. A headline counts once for each of its instruments; with prices of
-- zero or without them a side of a quote is not known.
create or replace function signal._batch_events(p_batch_id bigint)
returns signal.rule_event[]
language plpgsql
stable
as $$
declare
    v_batch market.batches;
    v_from timestamptz;
begin
    select * into v_batch from market.batches b where b.batch_id = p_batch_id;
    v_from := coalesce((
        select b.as_of from market.batches b
        where b.session_id = v_batch.session_id and b.batch_no = v_batch.batch_no - 1), v_batch.from_ts);
    return (
        select array_agg(row(s.no, s.t, s.kind, s.instrument_id, s.bid, s.bid_size, s.ask, s.ask_size, s.price,
            s.size, s.sentiment, s.headline, s.source_id, s.seq)::signal.rule_event order by s.no)
        from (
            select row_number() over (
                    order by e.ts, e.ns, e.kind, e.feed_id, e.source_id, e.seq, e.instrument_id)::integer as no,
                (extract(epoch from e.ts) * 1000000)::float8 as t, e.*
            from (
                select k.ts, k.ns, case k.kind when 'quote' then 1 else 2 end::smallint as kind, k.feed_id, k.source_id,
                    k.seq, k.instrument_id, k.bid_price as bid, k.bid_size, k.ask_price as ask, k.ask_size, k.price, k.size,
                    null::float8 as sentiment, null::text as headline
                from market.batch_ticks(p_batch_id) k
                union all
                select n.as_of, 0, 3::smallint, n.feed_id, n.source_id, n.seq, i.instrument_id, null, null, null, null,
                    null, null, n.sentiment::float8, n.headline
                from signal._batch_news(v_batch, v_from) n
                cross join lateral unnest(n.instrument_ids) i (instrument_id)) e) s);
end
$$;
comment on function signal._batch_events(bigint) is 'The events of a batch as rules see them, in their order.';
