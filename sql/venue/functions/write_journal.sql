-- Writes what one step of a venue did, in one transaction: the message taken, orders as they are now,
-- reports owed, and the books with the batch they have seen; marks earlier reports as sent.
-- p_entry: {messages, orders, cl_ord_ids, reports, progress, books: arrays of rows without the venue;
-- sent: report numbers; handled: numbers of messages that were put off and are decided now; commands:
-- rows {command_no, result}; faults: numbers of those that fired}; a missing key writes nothing.
-- Called by the venue's process alone, which holds the venue's lock.
create or replace function venue.write_journal(p_venue text, p_entry jsonb)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    if p_entry ? 'messages' then
        insert into venue._messages (
            venue, fix_session, seqnum, msg_type, participant, cl_ord_id, raw, due_at, handled,
            acknowledged)
        select
            p_venue, m.fix_session, m.seqnum, m.msg_type, m.participant, m.cl_ord_id, m.raw, m.due_at,
            m.due_at is null, m.acknowledged
        from jsonb_populate_recordset(null::venue._messages, p_entry->'messages') m;
    end if;
    if p_entry ? 'handled' then
        update venue._messages m set handled = true
        from jsonb_array_elements_text(p_entry->'handled') h where m.message_no = h::bigint;
    end if;
    if p_entry ? 'orders' then
        insert into venue._orders (
            venue, order_no, participant, fix_session, cl_ord_id, root_cl_ord_id, cancel_cl_ord_id,
            session_id, instrument_id, account, symbol, side, quantity, order_type, limit_price,
            stop_price, time_in_force, expire_at, peg_reference, peg_offset, post_only,
            display_quantity, min_quantity, status, pending, cumulative_quantity, notional, rank, book,
            reason, as_of)
        select
            p_venue, o.order_no, o.participant, o.fix_session, o.cl_ord_id, o.root_cl_ord_id,
            o.cancel_cl_ord_id, o.session_id, o.instrument_id, o.account, o.symbol, o.side, o.quantity,
            o.order_type, o.limit_price, o.stop_price, o.time_in_force, o.expire_at, o.peg_reference,
            o.peg_offset, o.post_only, o.display_quantity, o.min_quantity, o.status, o.pending,
            o.cumulative_quantity, o.notional, o.rank, o.book, o.reason, o.as_of
        from jsonb_populate_recordset(null::venue._orders, p_entry->'orders') o
        on conflict (venue, order_no) do update set
            cl_ord_id = excluded.cl_ord_id,
            cancel_cl_ord_id = excluded.cancel_cl_ord_id,
            session_id = excluded.session_id,
            instrument_id = excluded.instrument_id,
            as_of = excluded.as_of,
            quantity = excluded.quantity,
            limit_price = excluded.limit_price,
            stop_price = excluded.stop_price,
            time_in_force = excluded.time_in_force,
            expire_at = excluded.expire_at,
            peg_reference = excluded.peg_reference,
            peg_offset = excluded.peg_offset,
            post_only = excluded.post_only,
            display_quantity = excluded.display_quantity,
            min_quantity = excluded.min_quantity,
            status = excluded.status,
            pending = excluded.pending,
            cumulative_quantity = excluded.cumulative_quantity,
            notional = excluded.notional,
            rank = excluded.rank,
            book = excluded.book,
            reason = excluded.reason,
            updated_at = clock_timestamp();
    end if;
    if p_entry ? 'cl_ord_ids' then
        insert into venue._cl_ord_ids (venue, participant, cl_ord_id, order_no)
        select p_venue, i.participant, i.cl_ord_id, i.order_no
        from jsonb_populate_recordset(null::venue._cl_ord_ids, p_entry->'cl_ord_ids') i
        on conflict (venue, participant, cl_ord_id) do nothing;
    end if;
    if p_entry ? 'reports' then
        insert into venue._reports (
            venue, report_no, participant, fix_session, msg_type, exec_id, exec_type, order_no,
            session_id, cl_ord_id, quantity, price, fee, copy_of, reference_no, ts, fields)
        select
            p_venue, r.report_no, r.participant, r.fix_session, r.msg_type, r.exec_id, r.exec_type,
            r.order_no, r.session_id, r.cl_ord_id, r.quantity, r.price, r.fee, r.copy_of,
            r.reference_no, r.ts, r.fields
        from jsonb_populate_recordset(null::venue._reports, p_entry->'reports') r;
    end if;
    if p_entry ? 'progress' then
        insert into venue._progress (venue, session_id, batch_no, as_of)
        select p_venue, p.session_id, p.batch_no, p.as_of
        from jsonb_populate_recordset(null::venue._progress, p_entry->'progress') p
        on conflict (venue, session_id) do update
            set batch_no = excluded.batch_no, as_of = excluded.as_of;
        -- Replays in lock-step wait for it.
        perform pg_notify('venue_progress', '');
    end if;
    if p_entry ? 'books' then
        insert into venue._books (
            venue, session_id, instrument_id, next_rank,
            bid_price, bid_size, bid_left, bid_rank, ask_price, ask_size, ask_left, ask_rank, state)
        select
            p_venue, b.session_id, b.instrument_id, b.next_rank, b.bid_price, b.bid_size, b.bid_left,
            b.bid_rank, b.ask_price, b.ask_size, b.ask_left, b.ask_rank, b.state
        from jsonb_populate_recordset(null::venue._books, p_entry->'books') b
        on conflict (venue, session_id, instrument_id) do update set
            next_rank = excluded.next_rank,
            bid_price = excluded.bid_price, bid_size = excluded.bid_size,
            bid_left = excluded.bid_left, bid_rank = excluded.bid_rank,
            ask_price = excluded.ask_price, ask_size = excluded.ask_size,
            ask_left = excluded.ask_left, ask_rank = excluded.ask_rank,
            state = excluded.state;
    end if;
    if p_entry ? 'sent' then
        update venue._reports r set sent = true
        from jsonb_array_elements_text(p_entry->'sent') s
        where r.venue = p_venue and r.report_no = s::bigint;
    end if;
    if p_entry ? 'commands' then
        update venue._commands c set done_at = clock_timestamp(), result = d.result
        from jsonb_populate_recordset(null::venue._commands, p_entry->'commands') d
        where c.command_no = d.command_no;
    end if;
    if p_entry ? 'faults' then
        update venue._faults f set fired_at = clock_timestamp()
        from jsonb_array_elements_text(p_entry->'faults') d where f.fault_no = d::bigint;
    end if;
end
$$;
comment on function venue.write_journal(text, jsonb) is
    'Writes what one step of a simulated venue did; called by the venue alone.';
grant execute on function venue.write_journal(text, jsonb) to tsdb_venue;
