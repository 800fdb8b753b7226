-- Records which headlines rules see with a batch, before they are evaluated on it: those that became known since
-- the batch before, and those of the five minutes before that which were stored too late for it. These count as
-- of one microsecond after it, so that no time is taken back.
create or replace function signal._record_batch_news(p_batch market.batches)
returns void
language plpgsql
as $$
declare
    v_previous market.batches;
    v_from timestamptz := p_batch.from_ts;
begin
    select * into v_previous from market.batches b
    where b.session_id = p_batch.session_id and b.batch_no = p_batch.batch_no - 1;
    if found then
        v_from := v_previous.as_of;
    end if;
    insert into signal.batch_news (session_id, source_id, seq, news_ts, as_of, batch_no)
    select p_batch.session_id, n.source_id, n.seq, n.ts,
           greatest(n.ts, n.recv_ts, v_from + interval '1 microsecond'), p_batch.batch_no
    from market.news n
    where greatest(n.ts, n.recv_ts) > v_from - case when exists (
            select from signal.rule_batches b
            where b.session_id = p_batch.session_id and b.batch_no = p_batch.batch_no - 1)
            then interval '5 minutes' else interval '0' end
        and greatest(n.ts, n.recv_ts) <= p_batch.as_of
        and greatest(n.ts, n.recv_ts) > (
            select f.from_ts from market.batches f where f.session_id = p_batch.session_id and f.batch_no = 1)
        and n.ts > v_from - interval '30 days' and n.ts <= p_batch.as_of
    on conflict do nothing;
end
$$;
comment on function signal._record_batch_news(market.batches) is 'Records which headlines rules see with a batch.';
