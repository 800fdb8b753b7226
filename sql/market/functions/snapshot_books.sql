-- Makes the snapshots that are due of every book, each in a transaction of its own: one per p_every
-- events, or per as many as the book has orders. p_made: how many. Writers of the same feed wait
-- for one snapshot at most. Call it outside of transactions.
-- Without a set clause, with which a procedure runs in a transaction.
create or replace procedure market.snapshot_books(
    p_every integer default 5000, inout p_made integer default 0
)
language plpgsql
as $$
declare
    v_book record;
begin
    p_made := 0;
    for v_book in
        select b.instrument_id, b.feed_id
        from (
            select s.instrument_id, s.feed_id, sum(s.rows_stored) as events
            from market.sources s
            where s.kind = 'book_events'
            group by s.instrument_id, s.feed_id
        ) b
        left join lateral (
            select n.event_count
            from market.book_snapshots n
            where n.instrument_id = b.instrument_id and n.feed_id = b.feed_id
            order by n.ts desc, n.ns desc, n.source_id desc, n.seq desc
            limit 1
        ) n on true
        where b.events >= coalesce(n.event_count, 0) + p_every
        order by b.instrument_id, b.feed_id
    loop
        while market.snapshot_book(v_book.instrument_id, v_book.feed_id, p_every) loop
            p_made := p_made + 1;
            commit;
        end loop;
        commit;
    end loop;
end
$$;
comment on procedure market.snapshot_books(integer, integer) is
    'Makes the book snapshots that are due, one per p_every events; outside of transactions.';
grant execute on procedure market.snapshot_books(integer, integer) to tsdb_worker_scheduler, tsdb_ops;
