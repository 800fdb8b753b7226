-- Writes the changes of the best bid and offer that book events of a source made as quotes of the
-- same feed, so that strategies, batches and bars can use an order-by-order feed. p_source_id is
-- of book events of one instrument. Goes on after the event where the last call stopped, takes up
-- to p_limit events (more where a snapshot goes on), and returns how many it took, 0 when there are
-- none left. Late or changed events undo the quotes after them, which are derived anew.
--
-- The quotes belong to a part of their own, of kind quotes, named in market.derived_quotes; their
-- conditions say 'derived', and their ts, ns, recv_ts and seq are the event's.
-- Raises TT002 for an unknown source, TT001 for one that is not of book events, or a limit below 1.
create or replace function market.derive_quotes(p_source_id integer, p_limit integer default 100000)
returns bigint
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
as $$
declare
    v_source market.sources;
    v_derived market.derived_quotes;
    v_from market.book_position;
    v_to market.book_position;
    v_from_ts timestamptz;
    v_ahead record;
    v_noted text := current_setting('tsdb_trader.ranges_noted', true);
    v_undone bigint;
    v_written bigint;
    v_undone_from timestamptz;
    v_undone_to timestamptz;
    v_first_ts timestamptz;
    v_last_ts timestamptz;
begin
    select s.* into v_source from market.sources s where s.source_id = p_source_id;
    if v_source.source_id is null then
        raise exception 'unknown source %: see market.sources', coalesce(p_source_id::text, 'null')
            using errcode = 'TT002';
    elsif v_source.kind <> 'book_events' or v_source.instrument_id is null then
        raise exception 'source % is of %: only book events of an instrument make quotes',
            p_source_id, v_source.kind using errcode = 'TT001';
    elsif coalesce(p_limit, 0) < 1 then
        raise exception 'limit % is no number of events: say 1 or more',
            coalesce(p_limit::text, 'null') using errcode = 'TT001';
    elsif v_source.last_ts is null then
        return 0;
    end if;
    -- No writer of the feed may have events that we do not see: market._book_changed.
    perform pg_advisory_xact_lock(7418530, v_source.feed_id);
    v_derived := market._derived_part(v_source);
    v_from := v_derived.through;
    v_from_ts := v_from.ts;
    v_first_ts := greatest(v_source.first_ts, market._books_known_from());
    if v_from_ts < v_first_ts then
        v_from := market._book_end(v_first_ts - interval '1 microsecond');
        v_from_ts := v_from.ts;
    end if;
    select u.* into v_ahead
    from market._derivable_until(
        v_source.instrument_id, v_source.feed_id, v_from, v_source.last_ts, p_limit) u;
    if v_ahead.events = 0 then
        return 0;
    end if;
    v_to := v_ahead.until;
    perform set_config('tsdb_trader.ranges_noted', 'on', true);
    with undone as (
        delete from market._quotes q
        where q.instrument_id = v_source.instrument_id and q.source_id = v_derived.source_id
            and q.ts >= v_from_ts and (q.ts, q.ns, q.seq) > (v_from.ts, v_from.ns, v_from.seq)
        returning q.ts
    )
    select count(*), min(u.ts), max(u.ts) into v_undone, v_undone_from, v_undone_to
    from undone u;
    with written as (
        insert into market._quotes
            (ts, recv_ts, seq, bid_price, bid_size, ask_price, ask_size, instrument_id, source_id,
             feed_id, ns, flags, exchange, conditions)
        select c.ts, c.recv_ts, c.seq, c.bid_price, c.bid_size, c.ask_price, c.ask_size,
               v_source.instrument_id, v_derived.source_id, v_source.feed_id, c.ns,
               c.sets_bid::integer + 2 * c.sets_ask::integer, '', 'derived'
        from market._book_bbo(v_source.instrument_id, v_source.feed_id, v_from, v_to) c
        where c.source_id = p_source_id and (c.sets_bid or c.sets_ask)
        returning ts
    )
    select count(*), min(w.ts), max(w.ts) into v_written, v_first_ts, v_last_ts from written w;
    perform set_config('tsdb_trader.ranges_noted', coalesce(v_noted, ''), true);
    perform market.invalidate_rollups('market._quotes', v_undone_from, v_undone_to);
    perform market.invalidate_rollups('market._quotes', v_first_ts, v_last_ts);
    update market.derived_quotes d set through = v_to where d.book_source_id = p_source_id;
    update market.sources s
    set rows_read = s.rows_read - v_undone + v_written,
        rows_stored = s.rows_stored - v_undone + v_written,
        first_ts = least(s.first_ts, v_first_ts),
        last_ts = greatest(s.last_ts, v_last_ts),
        status = v_source.status
    where s.source_id = v_derived.source_id;
    return v_ahead.events;
end
$$;
comment on function market.derive_quotes(integer, integer) is
    'Writes the changes of best bid and offer that a source''s book events made as quotes (conditions: derived), going on where the last call stopped; returns how many events it took, 0 at the end.';
grant execute on function market.derive_quotes(integer, integer) to tsdb_worker_feeds, tsdb_ops;
