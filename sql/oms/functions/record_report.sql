-- Archives and applies one ExecutionReport (35=8) or OrderCancelReject (35=9), in one transaction.
-- A report applied before, by (venue, trade date, ExecID), only adds to the archive; the same key
-- with other content becomes a break. Nothing the venue says is dropped: a fill of an unknown order
-- is booked to suspense, a move that oms.order_transitions does not list becomes a break.
-- p_message: as in oms.archive_messages. p_report: texts, decimals included: msg_type, exec_type
-- (new, trade, replaced, cancelled, rejected, expired, done_for_day, stopped, suspended, restated,
-- pending_new, pending_replace, pending_cancel, calculated, status, trade_cancel, trade_correct),
-- ord_status, cl_ord_id, orig_cl_ord_id, order_id, exec_id, exec_ref_id, last_qty, last_px, cum_qty,
-- leaves_qty, avg_px, order_qty, price, stop_px, side, symbol, session_id, transact_time, trade_date,
-- commission, last_liquidity_ind, exec_restatement_reason, text, ord_rej_reason, cxl_rej_reason.
-- Returns the order's id and status (null when unknown), and whether anything was applied.
-- Errors: TT001 unusable report; TT002 unknown venue; TT003 isolation level.
create or replace function oms.record_report(p_venue text, p_message jsonb, p_report jsonb)
returns table (order_id bigint, status text, applied boolean)
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    v_message oms.fix_messages;
    v_venue ref.venues;
    v_order_id bigint;
    v_session_id uuid;
    v_account text;
    v_order oms.orders;
    v_new boolean := true;
begin
    perform oms._require_read_committed();
    select * into v_venue from ref.venues v where v.venue = p_venue;
    if not found then
        raise exception 'venue "%" does not exist', p_venue using errcode = 'TT002';
    end if;
    v_message := oms._archive_report(p_message);
    -- By any ClOrdID the order ever had, or, where the venue names none of ours (it acted by itself), by the
    -- venue's own OrderID.
    select o.order_id, o.session_id, o.account into v_order_id, v_session_id, v_account
    from oms.order_actions a join oms.orders o using (order_id)
    where a.cl_ord_id in (p_report->>'cl_ord_id', p_report->>'orig_cl_ord_id')
    limit 1;
    if not found and p_report->>'cl_ord_id' is null then
        select o.order_id, o.session_id, o.account into v_order_id, v_session_id, v_account
        from oms.orders o
        where o.venue_id = v_venue.venue_id and o.venue_order_id = p_report->>'order_id';
    end if;
    -- Lock first, look afterwards: see oms._lock_account.
    perform oms._lock_account(coalesce(v_session_id, '00000000-0000-0000-0000-000000000000'),
        coalesce(v_account, 'suspense'));
    select * into v_order from oms.orders o where o.order_id = v_order_id for update;

    if p_report->>'msg_type' = '9' then
        v_new := oms._apply_cancel_reject(v_order, p_report, v_message);
    elsif p_report->>'exec_type' is null then
        raise exception 'a report needs exec_type' using errcode = 'TT001';
    else
        v_new := oms._apply_report(v_order, v_venue, p_report, v_message);
    end if;
    return query select v_order.order_id,
        (select o.status from oms.orders o where o.order_id = v_order.order_id), v_new;
end
$$;
comment on function oms.record_report(text, jsonb, jsonb) is
    'Archives and applies one execution report or cancel reject, idempotently. Errors: TT001 unusable report, TT002 unknown venue, TT003 isolation level.';
grant execute on function oms.record_report(text, jsonb, jsonb) to tsdb_worker_gateway;
