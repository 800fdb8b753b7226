-- Ends an order whose venue will never answer for it, such as one that lost its books: an operator says,
-- with a reason, that it was cancelled, rejected or expired there. Fills that arrive later are booked all
-- the same. Its open breaks of kind status are resolved with it.
-- Errors: TT001 no reason or another status; TT002 unknown order; TT003 isolation level; TT004 it is over.
create or replace function oms.settle_order(p_order_id bigint, p_status text, p_reason text)
returns table (order_id bigint, status text)
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    v_order constant oms.orders := oms._lock_order(p_order_id);
begin
    perform ops._audit('oms.settle_order', p_order_id::text, jsonb_build_object('status', p_status), p_reason);
    if coalesce(btrim(p_reason), '') = '' or p_status is null or p_status not in ('cancelled', 'rejected', 'expired') then
        raise exception 'an order is settled as cancelled, rejected or expired, with a reason' using errcode = 'TT001';
    end if;
    perform oms._settle(v_order, p_status, p_reason);
    perform oms._close_break(b.break_id, 'take_theirs', p_reason, session_user)
    from oms.breaks b
    where b.order_id = p_order_id and b.kind = 'status' and b.resolved_at is null;
    return query select o.order_id, o.status from oms.orders o where o.order_id = p_order_id;
end
$$;
comment on function oms.settle_order(bigint, text, text) is
    'Ends an order whose venue will never answer for it, by an operator''s word: cancelled, rejected or expired. Errors: TT001 no reason or another status, TT002 unknown order, TT003 isolation level, TT004 it is over.';
grant execute on function oms.settle_order(bigint, text, text) to tsdb_ops;
